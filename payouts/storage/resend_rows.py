"""Dead events that were delivered once more long after they died: open again, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from payouts.states import EventStatus
from payouts.storage.failure_tables import inbox_failures
from payouts.storage.tables import inbox, inbox_deliveries


@dataclass(frozen=True, slots=True)
class Again:
    """A delivery of an event that was in the inbox already."""

    id: int
    event_id: str
    received_at_ms: int


def deliveries_after(connection: Connection, after_id: int, limit: int) -> list[Again]:
    """Repeated deliveries in the order of their ids."""
    d = inbox_deliveries.c
    query = select(d.id, d.event_id, d.received_at_ms).where(d.id > after_id).order_by(d.id).limit(limit)
    return [Again(*row) for row in connection.execute(query)]


def reopen_dead(connection: Connection, delivered: Sequence[Again], after_ms: int, now_ms: int) -> list[int]:
    """Those of these events that are dead, and died more than `after_ms` before they came again, are open
    once more; their inbox ids. What somebody else has locked is left out."""
    i, f = inbox.c, inbox_failures.c
    came_ms: dict[str, int] = {}
    for again in delivered:
        came_ms[again.event_id] = max(again.received_at_ms, came_ms.get(again.event_id, 0))
    dead = connection.execute(
        select(i.id, i.event_id, i.processed_at_ms)
        .where(i.event_id.in_(sorted(came_ms)), i.status == EventStatus.DEAD)
        .order_by(i.id)
        .with_for_update(skip_locked=True)
    )
    ids = [row.id for row in dead if (row.processed_at_ms or 0) + after_ms <= came_ms[row.event_id]]
    if ids:
        reopened = {
            "status": EventStatus.RECEIVED,
            "due_at_ms": now_ms,
            "resends": 0,
            "processed_at_ms": None,
        }
        connection.execute(update(inbox).where(i.id.in_(ids)).values(reopened))
        connection.execute(update(inbox_failures).where(f.id.in_(ids)).values(status=EventStatus.RETRYING))
    return ids
