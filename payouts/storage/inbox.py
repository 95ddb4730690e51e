"""The inbox: one row an event, the truth about what was accepted and what came of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, case, delete, select, update

from payouts.errors import StoreUnavailableError, ValuesChangedError
from payouts.event import Envelope
from payouts.ids import IdMaker
from payouts.states import OPEN_EVENT_STATUSES, EventStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.tables import inbox, inbox_deliveries

WEBHOOK, CATCH_UP = "webhook", "catch-up"
"""How an event came in: delivered by Stripe, or found in Stripe's own list."""
_ADD_TRIES = 5


class NewEvent(msgspec.Struct, frozen=True):
    """An event on its way into the inbox. `id` is drawn by the receiver, once for each delivery.

    `payload` is what is stored: Stripe's bytes, sealed by `payouts.sealing.Sealer.seal`.
    """

    id: int
    envelope: Envelope
    source: str
    secret: str | None
    received_at_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class WorkItem:
    """An event under lock, ready to be decided on. `payload`: as stored; `payouts.payloads` opens it."""

    id: int
    event_id: str
    account: str
    type: str
    kind: str
    attempts: int
    payload: bytes
    status: EventStatus = EventStatus.RECEIVED
    """Before this."""
    object_id: str | None = None


_COLUMNS = (
    *("id", "event_id", "account", "type", "kind", "object_id", "livemode", "api_version", "created_s"),
    *("source", "secret", "received_at_ms", "status", "due_at_ms", "attempts", "resends", "payload"),
)


def add_events(
    connection: Connection, events: Sequence[NewEvent], make_id: IdMaker, *, delivered: bool = True
) -> list[int]:
    """Store `events` and return the inbox ids of those that were new.

    An event that is there already gets a row in `inbox_deliveries` instead, unless this very delivery
    (the same `id`) was stored before: then it is a repeated write, not a repeated delivery. Nor does it get
    one where the events were not `delivered`, but read from a list.
    """
    # One order for everybody: two receivers never wait for each other in a circle.
    waiting = sorted(events, key=lambda event: (event.envelope.event_id, event.id))
    new_ids: list[int] = []
    for _ in range(_ADD_TRIES):
        added = _insert(connection, waiting)
        if added == len(waiting):
            return new_ids + [event.id for event in waiting]
        stored = _stored_ids(connection, [event.envelope.event_id for event in waiting])
        new_ids += [e.id for e in waiting if stored.get(e.envelope.event_id) == e.id]
        if delivered:
            again = [e for e in waiting if stored.get(e.envelope.event_id, e.id) != e.id]
            _note_deliveries(connection, again)
        # Left out although its event is unknown: another process drew the same row id. Draw again.
        waiting = [
            msgspec.structs.replace(e, id=make_id()) for e in waiting if e.envelope.event_id not in stored
        ]
        if not waiting:
            return new_ids
    raise StoreUnavailableError(f"no free row id for {len(waiting)} events after {_ADD_TRIES} tries")


def lock_open(connection: Connection, ids: Iterable[int], now_ms: int) -> list[WorkItem]:
    """Lock the rows among `ids` that are open and due, in the order of their ids.

    A row that is locked already is left out: somebody is at it. Should that come to nothing, the sweeper
    sends it again.
    """
    rows = connection.execute(
        select(*_WORK, inbox.c.due_at_ms, inbox.c.resends)
        .where(inbox.c.id.in_(sorted(set(ids))))
        .order_by(inbox.c.id)
        .with_for_update(skip_locked=True)
    )
    return [_item(row) for row in rows if _is_due(row.status, row.due_at_ms, row.resends, now_ms)]


def lock_any(connection: Connection, ids: Iterable[int]) -> list[WorkItem]:
    """Lock the rows among `ids` whatever their status, in the order of their ids; waits for each lock."""
    rows = connection.execute(
        select(*_WORK).where(inbox.c.id.in_(sorted(set(ids)))).order_by(inbox.c.id).with_for_update()
    )
    return [_item(row) for row in rows]


def read_any(connection: Connection, ids: Iterable[int]) -> list[WorkItem]:
    """The rows among `ids`, in the order of their ids, without a lock."""
    rows = connection.execute(select(*_WORK).where(inbox.c.id.in_(sorted(set(ids)))).order_by(inbox.c.id))
    return [_item(row) for row in rows]


def finish(
    connection: Connection, outcomes: Iterable[tuple[int, EventStatus, str | None]], now_ms: int
) -> None:
    """Record final outcomes as (inbox id, status, reason), with one UPDATE for each status and reason."""
    groups: dict[tuple[EventStatus, str | None], list[int]] = {}
    for inbox_id, status, reason in outcomes:
        groups.setdefault((status, reason), []).append(inbox_id)
    for (status, reason), ids in groups.items():
        connection.execute(
            update(inbox)
            .where(inbox.c.id.in_(ids))
            .values(status=status, reason=reason and reason[:255], processed_at_ms=now_ms)
        )


def defer(connection: Connection, inbox_id: int, reason: str, due_at_ms: int) -> None:
    """Put the event off until `due_at_ms` for `reason`; no attempt is counted."""
    connection.execute(
        update(inbox)
        .where(inbox.c.id == inbox_id)
        .values(status=EventStatus.DEFERRED, reason=reason[:255], due_at_ms=due_at_ms, resends=0)
    )


@dataclass(frozen=True, slots=True)
class Overdue:
    """An open event whose hint was lost, or whose worker never finished."""

    id: int
    resends: int


def overdue(connection: Connection, before_ms: int, limit: int) -> list[Overdue]:
    """Open events that were due before `before_ms`, the oldest of each status first, `limit` at most."""
    found: list[Overdue] = []
    for status in OPEN_EVENT_STATUSES:
        rows = connection.execute(
            select(inbox.c.id, inbox.c.resends)
            .where(inbox.c.status == status, inbox.c.due_at_ms <= before_ms)
            .order_by(inbox.c.due_at_ms)
            .limit(limit - len(found))
            .with_for_update(skip_locked=True)
        )
        found += [Overdue(*row) for row in rows]
        if len(found) >= limit:
            break
    return found


def note_resend(connection: Connection, due_at_ms: dict[int, int]) -> None:
    """Note that hints for these events (inbox id → when it is due again) are sent once more."""
    counted = inbox.c.resends < RESENDS_COUNTED
    groups: dict[int, list[int]] = {}
    for inbox_id, at_ms in due_at_ms.items():
        groups.setdefault(at_ms, []).append(inbox_id)
    for at_ms, ids in groups.items():
        connection.execute(
            update(inbox)
            .where(inbox.c.id.in_(ids), inbox.c.status.in_(OPEN_EVENT_STATUSES))
            .values(due_at_ms=at_ms, resends=case((counted, inbox.c.resends + 1), else_=inbox.c.resends))
        )


def lock_one(connection: Connection, inbox_id: int) -> WorkItem | None:
    """Lock one open event whatever its due time; None where it is finished or does not exist."""
    row = connection.execute(
        select(*_WORK)
        .where(inbox.c.id == bindparam("inbox_id"), inbox.c.status.in_(OPEN_EVENT_STATUSES))
        .with_for_update(),
        {"inbox_id": inbox_id},
    ).first()
    return _item(row) if row else None


_WORK = [inbox.c[name] for name in WorkItem.__dataclass_fields__]


def _item(row: Any) -> WorkItem:
    return WorkItem(*(*row[:7], EventStatus(row[7]), row[8]))


_EARLY_MS = 250
"""A delayed message may come this much before the time on the row: two clocks, one of them Redis's."""


RESENDS_COUNTED = 30_000
"""Counting stops here: the column holds little more, and one row must not stop the sweep."""


def _is_due(status: str, due_at_ms: int, resends: int, now_ms: int) -> bool:
    if status == EventStatus.RECEIVED:
        return True
    # The sweeper sends what is overdue and moves its time on for the next sweep: sent again, it is due.
    return status in OPEN_EVENT_STATUSES and (resends > 0 or due_at_ms <= now_ms + _EARLY_MS)


def _insert(connection: Connection, events: Sequence[NewEvent]) -> int:
    try:
        return insert_rows(connection, inbox, _COLUMNS, [_row(event) for event in events], skip="event_id")
    except ValuesChangedError:
        # Each statement may be a transaction of its own: what was changed must not be found later.
        connection.execute(delete(inbox).where(inbox.c.id.in_([event.id for event in events])))
        raise


def _row(event: NewEvent) -> tuple[int | str | bytes | None, ...]:
    envelope = event.envelope
    return (
        event.id,
        envelope.event_id,
        envelope.account,
        envelope.type,
        envelope.kind,
        envelope.object_id,
        int(envelope.livemode),
        envelope.api_version,
        envelope.created_s,
        event.source,
        event.secret,
        event.received_at_ms,
        EventStatus.RECEIVED.value,
        event.received_at_ms,
        0,
        0,
        event.payload,
    )


def _stored_ids(connection: Connection, event_ids: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(select(inbox.c.event_id, inbox.c.id).where(inbox.c.event_id.in_(event_ids)))
    return {row.event_id: row.id for row in rows}


def _note_deliveries(connection: Connection, events: Sequence[NewEvent]) -> None:
    columns = ("id", "account", "event_id", "source", "secret", "received_at_ms")
    rows = [
        (e.id, e.envelope.account, e.envelope.event_id, e.source, e.secret, e.received_at_ms) for e in events
    ]
    # Keyed by the delivery's own id: noting it twice (a drain that was cut short) counts it once.
    insert_rows(connection, inbox_deliveries, columns, rows, skip="id")
