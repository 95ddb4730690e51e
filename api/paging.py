"""Lists in parts: one row more than is shown tells whether there is more."""

from collections.abc import Sequence
from typing import Any

from api import schemas

Rows = Sequence[dict[str, Any]]


def before_id(query: schemas.PageQuery) -> int | None:
    """The row id that the part wanted lies before; None: it is the first part."""
    return None if query.before is None else int(query.before)


def cut(rows: Rows, limit: int) -> tuple[Rows, dict[str, Any]]:
    """The rows to show, of `limit` and one that were asked for, and the fields of a page that say more."""
    shown, has_more = rows[:limit], len(rows) > limit
    return shown, {"has_more": has_more, "next": str(shown[-1]["id"]) if has_more else None}
