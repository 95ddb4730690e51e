"""Marks: how far the events of each account are walked; and the one row that says when it was looked."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker, floor_id, time_of
from payouts.storage.catch_up_tables import catch_up_marks, catch_up_watch
from payouts.storage.columns import PLATFORM
from payouts.storage.money_tables import partners
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records
from payouts.storage.tables import inbox

NEW_AT_ONCE = 500
HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Mark:
    """A row of `catch_up_marks`; the fields are its columns."""

    id: int
    account: str
    walked_until_s: int
    walked_at_ms: int
    failed_at_ms: int
    proved_until_s: int


MARKS = Records(catch_up_marks, Mark, fixed={"id", "account"}, reads={})


@dataclass(frozen=True, slots=True)
class Watch:
    """The row of `catch_up_watch`; the fields are its columns."""

    id: int
    account: str
    looked_at_ms: int
    hurried_at_ms: int
    hour_s: int
    hour_reads: int


_WATCH = Records(catch_up_watch, Watch, fixed={"id", "account"}, reads={})


def lock_mark(connection: Connection, account: str) -> Mark | None:
    """The mark of an account, locked; None where it was never walked."""
    return next(iter(MARKS.lock(connection, catch_up_marks.c.account, [account])), None)


def oldest_watermark_s(connection: Connection) -> int | None:
    """Up to when every account is walked; None where none was."""
    oldest_s: int | None = connection.scalar(select(func.min(catch_up_marks.c.walked_until_s)))
    return oldest_s


def find_mark(connection: Connection, account: str) -> Mark | None:
    """The mark of an account, read without a lock."""
    return next(iter(MARKS.find(connection, catch_up_marks.c.account == account)), None)


def insert_marks(connection: Connection, marks: list[Mark]) -> None:
    """Insert marks of accounts that have none."""
    try:
        MARKS.insert(connection, marks)
    except IntegrityError:
        raise RowIdTakenError("somebody made a mark of the same account at the same time") from None


def save_mark(connection: Connection, mark: Mark) -> None:
    """Write back a mark that this transaction has locked."""
    MARKS.save(connection, [mark])


def unmarked(connection: Connection) -> list[tuple[str, int]]:
    """Accounts without a mark, with when each became known, in ms: the platform first, a page at the most."""
    m, p = catch_up_marks.c, partners.c
    rows = connection.execute(
        select(p.account, p.created_at_ms)
        .outerjoin(catch_up_marks, m.account == p.account)
        .where(m.id.is_(None))
        .order_by(p.id)
        .limit(NEW_AT_ONCE)
    )
    found = [(row.account, row.created_at_ms) for row in rows]
    if find_mark(connection, PLATFORM) is not None:
        return found
    first = connection.scalar(select(func.min(inbox.c.id)))
    return [(PLATFORM, time_of(first) if first else 0), *found]


def oldest_walked(connection: Connection, before_ms: int) -> Mark | None:
    """The mark whose last whole walk is the longest ago, if that was before `before_ms`; locked."""
    return _first(connection, catch_up_marks.c.walked_at_ms, before_ms)


def oldest_failed(connection: Connection, before_ms: int) -> Mark | None:
    """The same of walks through what endpoints did not take."""
    return _first(connection, catch_up_marks.c.failed_at_ms, before_ms)


def oldest_proved(connection: Connection, before_s: int) -> Mark | None:
    """The mark whose daily proofs end the earliest, if that is before `before_s`."""
    return _first(connection, catch_up_marks.c.proved_until_s, before_s)


def _first(connection: Connection, column: Any, before: int) -> Mark | None:
    # Locked: a walk that ends meanwhile moves the watermark of the same row.
    query = MARKS.query(column < before).order_by(None).order_by(column, catch_up_marks.c.id).limit(1)
    return next(iter(MARKS.all(connection, query.with_for_update())), None)


def mark_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Marks, newest account first."""
    return page(connection, select(catch_up_marks), catch_up_marks, filters, limit)


def change_watch(connection: Connection, make_id: IdMaker, change: Callable[[Watch], Watch]) -> Watch:
    """Change the one row under its lock; returns how it was before."""
    query = _WATCH.query(catch_up_watch.c.account == PLATFORM).with_for_update()
    held = next(iter(_WATCH.all(connection, query)), None)
    if held is None:
        held = Watch(make_id(), PLATFORM, 0, 0, 0, 0)
        try:
            _WATCH.insert(connection, [held])
        except IntegrityError:
            raise RowIdTakenError("somebody began to watch at the same time") from None
    changed = change(held)
    if changed != held:
        _WATCH.save(connection, [changed])
    return held


def take_read(connection: Connection, make_id: IdMaker, now_ms: int, most: int | None) -> bool:
    """Count one more page that is asked of Stripe; False, and not counted, past `most` in this hour."""
    hour_s = now_ms // 1000 // HOUR_S * HOUR_S
    allowed = True

    def change(held: Watch) -> Watch:
        nonlocal allowed
        reads = held.hour_reads if held.hour_s == hour_s else 0
        allowed = most is None or reads < most
        return dataclasses.replace(held, hour_s=hour_s, hour_reads=reads + 1) if allowed else held

    change_watch(connection, make_id, change)
    return allowed


def last_received_ms(connection: Connection) -> int | None:
    """When the last event came into the inbox; None where none ever did."""
    last = connection.scalar(select(func.max(inbox.c.id)))
    return None if last is None else time_of(last)


def count_received(connection: Connection, since_ms: int, most: int) -> int:
    """How many events came in since `since_ms`; not counted past `most`."""
    some = select(inbox.c.id).where(inbox.c.id >= floor_id(since_ms)).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0
