"""What operators ask about failures: groups by cause, their members, and how long they have lain there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, update

from payouts.ids import time_of
from payouts.states import EventStatus
from payouts.storage.columns import PLATFORM
from payouts.storage.failure_tables import failure_groups, inbox_failures
from payouts.storage.paging import page
from payouts.storage.queries import Filters, by_index
from payouts.storage.replay_rows import causes_like
from payouts.storage.tables import inbox, inbox_attempts

ACCOUNTS_SHOWN = 10
GROUPS_MOST = 500
"""Of causes with failed events. More would be a fingerprint that tells nothing apart."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much lies there: the dead, the oldest of them, and the oldest blocked event."""

    dead: int
    oldest_dead_ms: int | None
    """When the oldest died."""
    oldest_blocked_ms: int | None
    """When the oldest blocked event was received."""


def groups(connection: Connection) -> list[dict[str, Any]]:
    """Causes of the events that stand failed now: those with the most dead ones first."""
    f = inbox_failures.c
    rows = connection.execute(
        select(f.fingerprint, f.status, f.type, func.count().label("events"))
        .group_by(f.fingerprint, f.status, f.type)
        .order_by(f.fingerprint)
        .limit(GROUPS_MOST * 10)
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        group = found.setdefault(row.fingerprint, _empty(row.fingerprint))
        group[row.status] += row.events
        group["types"][row.type] = group["types"].get(row.type, 0) + row.events
    _describe(connection, found)
    return sorted(
        found.values(), key=lambda group: (-group["dead"], -group["retrying"], group["fingerprint"])
    )


def group(connection: Connection, fingerprint: str) -> dict[str, Any] | None:
    """One cause, with the accounts that have the most of its events, and its newest attempt in full."""
    f, a = inbox_failures.c, inbox_attempts.c
    found = {fingerprint: _empty(fingerprint)}
    is_one = f.fingerprint == fingerprint
    made = found[fingerprint]
    for row in connection.execute(
        select(f.status, f.type, func.count().label("events")).where(is_one).group_by(f.status, f.type)
    ):
        made[row.status] += row.events
        made["types"][row.type] = made["types"].get(row.type, 0) + row.events
    _describe(connection, found)
    if made["first_seen_ms"] is None:
        return None
    accounts = _accounts(connection, fingerprint)
    newest = select(*inbox_attempts.c).where(a.fingerprint == fingerprint).order_by(a.id.desc()).limit(1)
    attempt = connection.execute(newest).first()
    event_id = None
    if attempt is not None:
        event_id = connection.scalar(select(inbox.c.event_id).where(inbox.c.id == attempt.inbox_id))
    return {
        **made,
        "account_count": accounts[0].accounts if accounts else 0,
        "accounts": {row.account: row.events for row in accounts},
        "newest_attempt": None if attempt is None else {**attempt._mapping, "event_id": event_id},
    }


def _accounts(connection: Connection, fingerprint: str) -> Sequence[Row[Any]]:
    """The `account`s with most `events` of a cause, and of how many `accounts` it has events: counted by the
    database, for a common cause has thousands."""
    f = inbox_failures.c
    each = (
        select(f.account, func.count().label("events"))
        .where(f.fingerprint == fingerprint)
        .group_by(f.account)
        .subquery()
    )
    query = select(each.c.account, each.c.events, func.count().over().label("accounts"))
    return connection.execute(
        query.order_by(each.c.events.desc(), each.c.account).limit(ACCOUNTS_SHOWN)
    ).all()


def failure_list(
    connection: Connection, filters: Filters, limit: int, error: str | None = None, by: str | None = None
) -> list[dict[str, Any]]:
    """Events that stand failed, newest first; `error`: a part of their cause's text.

    `by`: the column whose index leads to them, where the database is not to choose: it reads an index that
    fits many of them on from its newest row, however far back the page is.
    """
    query = select(*inbox_failures.c)
    if by is not None:
        query = by_index(query, inbox_failures, by, "id")
    if error is not None:
        query = query.where(inbox_failures.c.fingerprint.in_(causes_like(connection, error)))
    return page(connection, query, inbox_failures, filters, limit)


def dead_by_cause(connection: Connection) -> Iterator[tuple[str, int]]:
    """How many events are dead of each cause."""
    f = inbox_failures.c
    query = select(f.fingerprint, func.count().label("events")).where(f.status == EventStatus.DEAD)
    largest = query.group_by(f.fingerprint).order_by(func.count().desc()).limit(GROUPS_MOST)
    for row in connection.execute(largest):
        yield row.fingerprint, row.events


@dataclass(frozen=True, slots=True)
class Told:
    """A cause, and the size that it was last told of with."""

    fingerprint: str
    error_class: str
    message: str
    told_size: int


def lock_told(connection: Connection, fingerprints: Sequence[str]) -> list[Told]:
    """These causes and those that were told of before, locked in one order."""
    g = failure_groups.c
    rows = connection.execute(
        select(g.fingerprint, g.error_class, g.message, g.told_size)
        .where(g.account == PLATFORM, or_(g.fingerprint.in_(fingerprints), g.told_size > 0))
        .order_by(g.fingerprint)
        .with_for_update()
    )
    return [Told(*row) for row in rows]


def tell(connection: Connection, fingerprint: str, size: int) -> None:
    """A cause was told of with so many dead events; 0: there are none left."""
    g = failure_groups.c
    is_it = (g.account == PLATFORM, g.fingerprint == fingerprint)
    connection.execute(update(failure_groups).where(*is_it).values(told_size=size))


def waiting(connection: Connection) -> Waiting:
    """How much waits for an operator."""
    f, i = inbox_failures.c, inbox.c
    is_dead = f.status == EventStatus.DEAD
    dead = connection.scalar(select(func.count()).select_from(inbox_failures).where(is_dead)) or 0
    oldest = connection.scalar(select(func.min(f.failed_at_ms)).where(is_dead))
    blocked = select(i.received_at_ms).where(i.status == EventStatus.DEFERRED).order_by(i.id).limit(1)
    return Waiting(dead, oldest, connection.scalar(blocked))


def causes(connection: Connection, fingerprints: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is kept about these causes, by fingerprint."""
    g = failure_groups.c
    rows = connection.execute(
        select(*failure_groups.c).where(g.account == PLATFORM, g.fingerprint.in_(fingerprints))
    )
    return {row.fingerprint: dict(row._mapping) for row in rows}


def _empty(fingerprint: str) -> dict[str, Any]:
    statuses = (EventStatus.DEAD, EventStatus.RETRYING, EventStatus.DISMISSED)
    return {
        "fingerprint": fingerprint,
        **{str(status): 0 for status in statuses},
        "types": {},
        "error_class": "",
        "place": "",
        "message": "",
        "example": "",
        "first_seen_ms": None,
        "last_seen_ms": None,
        "first_version": "",
    }


def _describe(connection: Connection, found: dict[str, dict[str, Any]]) -> None:
    kept = ("error_class", "place", "message", "example", "first_seen_ms", "first_version")
    for fingerprint, cause in causes(connection, list(found)).items():
        found[fingerprint] |= {name: cause[name] for name in kept}
    a = inbox_attempts.c
    last = (
        select(a.fingerprint, func.max(a.id).label("id"))
        .where(a.fingerprint.in_(list(found)))
        .group_by(a.fingerprint)
    )
    for row in connection.execute(last):
        found[row.fingerprint]["last_seen_ms"] = time_of(row.id)
