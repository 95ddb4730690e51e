"""Walks: rows that say how far each one is; whoever records a page holds the row's lock."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, or_, select, update

from payouts.event import SNAPSHOT
from payouts.storage.catch_up_tables import catch_up_walks
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records
from payouts.storage.tables import inbox
from payouts.tally import Stored
from payouts.walk import Cause, Recipe, Walk, WalkStatus

WALKS = Records(
    catch_up_walks,
    Walk,
    fixed={"id", "account", "cause", "actor", "recipe", "all_types", "since_s", "until_s", "began_at_ms"},
    reads={"cause": Cause, "recipe": Recipe, "status": WalkStatus},
)


def find_walk(connection: Connection, walk_id: int) -> Walk | None:
    """A walk, read without a lock."""
    return next(iter(WALKS.find(connection, catch_up_walks.c.id == walk_id)), None)


def lock_walk(connection: Connection, walk_id: int) -> Walk | None:
    """A walk, locked."""
    return next(iter(WALKS.lock(connection, catch_up_walks.c.id, [walk_id])), None)


def lock_open_walk(connection: Connection, account: str, open_key: str) -> Walk | None:
    """The walk that is under way for `open_key`, locked."""
    w = catch_up_walks.c
    query = WALKS.query(w.account == account, w.open_key == open_key).with_for_update()
    return next(iter(WALKS.all(connection, query)), None)


def due_walk(connection: Connection, actor: str, asked: str, now_ms: int) -> int | None:
    """The walk of `actor`, or with a key that begins with `asked`, that has stood still the longest; None
    where all move on."""
    w = catch_up_walks.c
    ours = or_(w.actor == actor, w.open_key.startswith(asked, autoescape=True))
    query = select(w.id).where(w.status == WalkStatus.UNDER_WAY, w.due_at_ms <= now_ms, ours)
    found: int | None = connection.scalar(query.order_by(w.due_at_ms).limit(1))
    return found


def put_off(connection: Connection, walk_id: int, due_at_ms: int) -> None:
    """A message for the walk is on its way: it does not stand still before `due_at_ms`."""
    w = catch_up_walks.c
    connection.execute(
        update(catch_up_walks)
        .where(w.id == walk_id, w.status == WalkStatus.UNDER_WAY)
        .values(due_at_ms=due_at_ms)
    )


def is_walking(connection: Connection, actor: str) -> bool:
    """Whether a walk of `actor` is under way that gets its answers."""
    w = catch_up_walks.c
    query = select(w.id).where(w.status == WalkStatus.UNDER_WAY, w.actor == actor, w.tries == 0).limit(1)
    return connection.scalar(query) is not None


def walk_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Walks, newest first, without their tallies."""
    columns = [column for column in catch_up_walks.c if column.name not in ("tally", "open_key")]
    return page(connection, select(*columns), catch_up_walks, filters, limit)


def open_walks(connection: Connection, account: str | None, limit: int) -> list[dict[str, Any]]:
    """Walks that are under way, of an account or of all, newest first, without their tallies."""
    columns = [column for column in catch_up_walks.c if column.name not in ("tally", "open_key")]
    query = select(*columns).where(catch_up_walks.c.status == WalkStatus.UNDER_WAY)
    if account is not None:
        query = query.where(catch_up_walks.c.account == account)
    rows = connection.execute(query.order_by(catch_up_walks.c.id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]


def stored_events(connection: Connection, event_ids: Iterable[str]) -> dict[str, Stored]:
    """Those of `event_ids` that the inbox has, with what became of each."""
    wanted = sorted(set(event_ids))
    if not wanted:
        return {}
    i = inbox.c
    rows = connection.execute(select(i.event_id, i.id, i.status, i.reason).where(i.event_id.in_(wanted)))
    return {row.event_id: Stored(row.id, row.status, row.reason) for row in rows}


def events_between(
    connection: Connection, account: str, since_s: int, until_s: int, types: Iterable[str] | None
) -> list[str]:
    """The ids of the inbox's snapshot events of `account` that Stripe created in these seconds.

    Those that a proof found missing in the same page are among them. Thin events are in another list.
    """
    if since_s > until_s:
        return []
    i = inbox.c
    query = select(i.event_id).where(i.account == account, i.created_s >= since_s, i.created_s <= until_s)
    query = query.where(i.kind == SNAPSHOT)
    if types is not None:
        query = query.where(i.type.in_(sorted(types)))
    return list(connection.scalars(query))
