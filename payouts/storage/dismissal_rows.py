"""Events that operators ignore, or take up again: the same status in the inbox and among the failures."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from payouts.states import EventStatus
from payouts.storage.failure_tables import inbox_failures
from payouts.storage.tables import inbox


def change_status(
    connection: Connection,
    inbox_ids: Sequence[int],
    old: EventStatus,
    new: EventStatus,
    *,
    by: str | None = None,
    reason: str | None = None,
    at_ms: int | None = None,
) -> int:
    """Those of these events that are `old` become `new`; returns how many."""
    i, f = inbox.c, inbox_failures.c
    query = select(i.id).where(i.id.in_(sorted(set(inbox_ids))), i.status == old)
    ids = list(connection.scalars(query.order_by(i.id).with_for_update()))
    if not ids:
        return 0
    connection.execute(update(inbox).where(i.id.in_(ids)).values(status=new, reason=reason))
    connection.execute(
        update(inbox_failures)
        .where(f.id.in_(ids))
        .values(status=new, dismissed_by=by, dismissed_at_ms=at_ms, reason=reason)
    )
    return len(ids)
