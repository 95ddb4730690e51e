"""How old is what waits, and how much is dead: a few rows from an index each, however large the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select

from payouts.ids import time_of
from payouts.notices import NoticeStatus
from payouts.states import OPEN_EVENT_STATUSES, EventStatus, RequestStatus
from payouts.storage.money_tables import payout_requests
from payouts.storage.tables import inbox, outbox

COUNTED_MOST = 10_000
"""What is dead is counted up to here."""
NEWEST = 1_000
"""Events that are looked at for the secrets they were signed with."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest row of a status."""

    status: str
    since_ms: int
    """When the oldest was made."""
    due_at_ms: int
    """When the one that is due first was, or will be."""
    reason: str | None = None
    """Of the oldest, where the table has reasons."""


@dataclass(frozen=True, slots=True)
class Dead:
    """What nobody tries again by itself. `count` ends at COUNTED_MOST."""

    count: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class Signed:
    """The newest events: by which secret they were signed, and when the first and the last of them came."""

    by_label: dict[str, int]
    since_ms: int | None
    last_ms: int | None


def waiting_events(connection: Connection) -> list[Waiting]:
    """The oldest open event of each status, those statuses left out that have none."""
    return _waiting(connection, inbox, OPEN_EVENT_STATUSES, inbox.c.reason)


def dead_events(connection: Connection) -> Dead:
    """Events that wait for an operator."""
    return _dead(connection, inbox, EventStatus.DEAD)


def waiting_requests(connection: Connection) -> list[Waiting]:
    """The oldest requested payout that is queued, by when it is due; none or one."""
    return _waiting(connection, payout_requests, [RequestStatus.QUEUED], payout_requests.c.blocked_text)


def waiting_notices(connection: Connection) -> list[Waiting]:
    """The oldest notice without channels, and the oldest that a channel has yet to take."""
    # No index leads to the oldest by id: the one due first is the oldest here, as its time stays as it was.
    found = []
    for status in (NoticeStatus.PENDING, NoticeStatus.ROUTED):
        first = _first_due(connection, outbox, status)
        if first is not None:
            found.append(Waiting(status, time_of(first.id), first.due_at_ms))
    return found


def dead_notices(connection: Connection) -> Dead:
    """Notices that no channel is left to try for."""
    first = _first_due(connection, outbox, NoticeStatus.DEAD)
    return Dead(_count(connection, outbox, NoticeStatus.DEAD), None if first is None else time_of(first.id))


def newest_signed(connection: Connection, source: str) -> Signed:
    """Of the NEWEST events, those that came by `source` and by which secrets."""
    i = inbox.c
    newest = connection.execute(
        select(i.source, i.secret, i.received_at_ms).order_by(i.id.desc()).limit(NEWEST)
    )
    rows = [row for row in newest if row.source == source]
    by_label: dict[str, int] = {}
    for row in rows:
        by_label[str(row.secret)] = by_label.get(str(row.secret), 0) + 1
    times = [row.received_at_ms for row in rows]
    return Signed(by_label, min(times, default=None), max(times, default=None))


def _waiting(
    connection: Connection, table: Table, statuses: Sequence[str], reason: Column[Any]
) -> list[Waiting]:
    found = []
    for status in statuses:
        oldest = connection.execute(
            select(table.c.id, reason).where(table.c.status == status).order_by(table.c.id).limit(1)
        ).first()
        first = _first_due(connection, table, status)
        if oldest is not None and first is not None:
            found.append(Waiting(status, time_of(oldest.id), first.due_at_ms, oldest[1]))
    return found


def _first_due(connection: Connection, table: Table, status: str) -> Any:
    query = select(table.c.id, table.c.due_at_ms).where(table.c.status == status)
    return connection.execute(query.order_by(table.c.due_at_ms).limit(1)).first()


def _dead(connection: Connection, table: Table, status: str) -> Dead:
    oldest = connection.scalar(
        select(table.c.id).where(table.c.status == status).order_by(table.c.id).limit(1)
    )
    return Dead(_count(connection, table, status), None if oldest is None else time_of(oldest))


def _count(connection: Connection, table: Table, status: str) -> int:
    some = select(table.c.id).where(table.c.status == status).limit(COUNTED_MOST).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0
