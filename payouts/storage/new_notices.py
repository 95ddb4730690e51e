"""New rows of the outbox, as every change that is told of writes them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from payouts.errors import RowIdTakenError
from payouts.notices import NoticeStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.tables import outbox

_COLUMNS = (
    *("id", "account", "name", "dedupe_key", "body", "payout_id", "request_id"),
    *("status", "due_at_ms", "created_at_ms"),
)


class NewNotice(NamedTuple):
    """A row to be: at most one of a `dedupe_key` is ever written. `body`: JSON."""

    id: int
    account: str
    name: str
    dedupe_key: str
    body: str
    at_ms: int
    payout_id: int | None = None
    request_id: int | None = None


def body_of(values: Mapping[str, object]) -> str:
    """What a row of the outbox says, as JSON."""
    return msgspec.json.encode(values).decode()


def insert_new(connection: Connection, notices: Sequence[NewNotice]) -> int:
    """Write outbox rows but those whose `dedupe_key` is there already; returns how many were new.

    Raises RowIdTakenError: the unit of work draws again.
    """
    rows = [
        (
            *(notice.id, notice.account, notice.name, notice.dedupe_key, notice.body),
            *(notice.payout_id, notice.request_id, NoticeStatus.PENDING, notice.at_ms, notice.at_ms),
        )
        for notice in notices
    ]
    written = insert_rows(connection, outbox, _COLUMNS, rows, skip="dedupe_key")
    if written == len(notices):
        return written
    keys = {notice.dedupe_key for notice in notices}
    stored = connection.scalars(select(outbox.c.dedupe_key).where(outbox.c.dedupe_key.in_(keys)))
    missing = keys - set(stored)
    if missing:
        # Left out although their name is new: another process drew the same row id.
        raise RowIdTakenError(f"row ids for outbox rows {sorted(missing)[:3]} are taken")
    return written
