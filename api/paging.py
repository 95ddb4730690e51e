"""Lists in parts: one row more than is shown tells whether there is more."""

from collections.abc import Sequence
from typing import Any

import msgspec

from api import schemas

LARGEST_ID = 2**63 - 1
Rows = Sequence[dict[str, Any]]


def before_id(query: schemas.PageQuery) -> int | None:
    """The row id that the part wanted lies before; None: it is the first part."""
    return None if query.before is msgspec.UNSET else min(int(query.before), LARGEST_ID)


def cut(rows: Rows, limit: int) -> tuple[Rows, dict[str, Any]]:
    """The rows to show, of `limit` and one that were asked for, and the fields of a page that say more."""
    shown, has_more = rows[:limit], len(rows) > limit
    return shown, {"has_more": has_more, "next": str(shown[-1]["id"]) if has_more else None}
