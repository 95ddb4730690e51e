"""Replays: the events that a selection finds, the items of each replay, and what came of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from payouts.errors import NotFoundError
from payouts.ids import floor_id
from payouts.replay import OPEN_REPLAY_STATUSES, WORKED_ON, ItemOutcome, Replay, ReplayStatus, Selection
from payouts.request import no_request
from payouts.states import EventStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.failure_tables import failure_groups, inbox_failures
from payouts.storage.money_tables import legs, payout_requests
from payouts.storage.paging import page
from payouts.storage.queries import Filters, by_index
from payouts.storage.records import Records
from payouts.storage.replay_tables import replay_items, replays
from payouts.storage.tables import inbox, payouts

REPLAYS = Records(
    replays,
    Replay,
    fixed={
        *("id", "account", "selection", "reason", "requested_by", "requested_by_person", "version"),
        *("until_id", "created_at_ms"),
    },
    reads={"status": ReplayStatus},
)


@dataclass(frozen=True, slots=True)
class Selected:
    """An event that a selection found."""

    id: int
    account: str
    event_id: str
    type: str
    object_id: str | None
    status: EventStatus


def selected(
    connection: Connection, selection: Selection, after_id: int, until_id: int, limit: int
) -> list[Selected]:
    """Events that fit, in the order of their ids, behind `after_id` up to `until_id`, `limit` at most."""
    table = inbox_failures if selection.about_failures else inbox
    columns = [table.c[name] for name in Selected.__dataclass_fields__]
    query = select(*columns).where(table.c.id > after_id, table.c.id <= until_id)
    for name in ("status", "type", "account", "object_id"):
        value = getattr(selection, name)
        if value is not None:
            query = query.where(table.c[name] == value)
    if selection.request_id is not None:
        query = query.where(table.c.object_id.in_(objects_of(connection, selection.request_id)))
    if selection.events:
        query = query.where(table.c.event_id.in_(selection.events))
    elif selection.about_failures and selection.status is None:
        # What an operator ignored is taken up only where somebody says so.
        query = query.where(table.c.status != EventStatus.DISMISSED)
    if selection.since_ms is not None:
        query = query.where(table.c.id >= floor_id(selection.since_ms))
    if selection.until_ms is not None:
        query = query.where(table.c.id < floor_id(selection.until_ms))
    if selection.fingerprint is not None:
        query = query.where(inbox_failures.c.fingerprint == selection.fingerprint)
    if selection.error is not None:
        query = query.where(inbox_failures.c.fingerprint.in_(causes_like(connection, selection.error)))
    rows = connection.execute(query.order_by(table.c.id).limit(limit))
    return [Selected(*(*row[:5], EventStatus(row[5]))) for row in rows]


def require_known(connection: Connection, selection: Selection) -> None:
    """NotFoundError where the selection names what is not there: an event, a cause, a payout, or an account
    or object of no event.

    What was mistyped must not read as if there was nothing to do.
    """
    there = select(inbox.c.event_id).where(inbox.c.event_id.in_(selection.events))
    missing = sorted(set(selection.events) - set(connection.scalars(there))) if selection.events else []
    if missing:
        raise NotFoundError(
            f"there is no such event in the inbox: {_few(missing)}; `payouts event list` shows what is"
        )
    group, request_id = selection.fingerprint, selection.request_id
    if group is not None and not _any(connection, failure_groups.c.fingerprint == group):
        raise NotFoundError(f"there is no group {group[:40]}: `payouts dead groups` shows them")
    if request_id is not None and not _any(connection, payout_requests.c.id == request_id):
        raise no_request(request_id)
    for column, value in ((inbox.c.account, selection.account), (inbox.c.object_id, selection.object_id)):
        if value is not None and not _any(connection, column == value):
            what = "came from" if column is inbox.c.account else "is about"
            raise NotFoundError(f"no event {what} {value[:80]}: `payouts event list` shows what there is")


def require_named(connection: Connection, selection: Selection) -> None:
    """As `require_known`; NotFoundError too where an event is named that does not fit the rest."""
    require_known(connection, selection)
    if not selection.events:
        return
    found = selected(connection, selection, -1, newest_id(connection), len(selection.events))
    others = sorted(set(selection.events) - {event.event_id for event in found})
    if others:
        raise NotFoundError(f"in the inbox, but not with all else that was asked for: {_few(others)}")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _any(connection: Connection, is_one: ColumnElement[bool]) -> bool:
    return connection.execute(select(literal(1)).where(is_one).limit(1)).first() is not None


def objects_of(connection: Connection, request_id: int) -> list[str]:
    """Stripe's ids of what belongs to a request: its transfer, its payouts, their reversals."""
    found: set[str] = set()
    for table in (legs, payouts):
        query = select(table.c.stripe_id).where(
            table.c.request_id == request_id, table.c.stripe_id.is_not(None)
        )
        found |= set(connection.scalars(query))
    return sorted(found)


def walk_selected(
    connection: Connection, selection: Selection, until_id: int, size: int = 500
) -> Iterator[list[Selected]]:
    """All events that fit, a page at a time; no transaction stays open between two pages."""
    after_id = -1
    while True:
        found = selected(connection, selection, after_id, until_id, size)
        connection.rollback()
        if found:
            yield found
        if len(found) < size:
            return
        after_id = found[-1].id


def causes_like(connection: Connection, text: str) -> list[str]:
    """Fingerprints of causes whose class, place or message holds `text`, in whatever case."""
    g = failure_groups.c
    wanted = text.lower()
    parts = (g.error_class, g.place, g.message, g.example)
    matches = or_(*(func.lower(part).contains(wanted, autoescape=True) for part in parts))
    return list(connection.scalars(select(g.fingerprint).where(matches)))


def newest_id(connection: Connection) -> int:
    """The greatest row id in the inbox; 0 where it is empty."""
    return connection.scalar(select(func.max(inbox.c.id))) or 0


def lock_replay(connection: Connection, replay_id: int) -> Replay | None:
    """The replay, locked."""
    return next(iter(REPLAYS.lock(connection, replays.c.id, [replay_id])), None)


def find_replay(connection: Connection, replay_id: int) -> Replay | None:
    """The replay, read without a lock."""
    return next(iter(REPLAYS.find(connection, replays.c.id == replay_id)), None)


def due_replays(connection: Connection, now_ms: int, limit: int) -> list[int]:
    """Ids of replays that a worker could go on with now, the oldest first."""
    r = replays.c
    query = select(r.id).where(r.status.in_(WORKED_ON), r.lease_until_ms <= now_ms)
    return list(connection.scalars(query.order_by(r.id).limit(limit)))


def count_open(connection: Connection) -> int:
    """How many replays are not over."""
    query = select(func.count()).select_from(replays).where(replays.c.status.in_(OPEN_REPLAY_STATUSES))
    return connection.scalar(query) or 0


def asked_lately(connection: Connection, replay: Replay, since_ms: int) -> int:
    """How many events whoever asked for `replay` has replayed since, without anybody's confirmation."""
    r = replays.c
    mine = r.requested_by == replay.requested_by
    if replay.requested_by_person is not None:
        mine = or_(mine, r.requested_by_person == replay.requested_by_person)
    query = select(func.sum(r.total)).where(
        *(r.id >= floor_id(since_ms), r.id < replay.id, mine),
        *(r.confirmed_by.is_(None), r.status != ReplayStatus.AWAITING_CONFIRMATION),
    )
    return int(connection.scalar(query) or 0)


def add_items(connection: Connection, replay_id: int, found: Sequence[Selected]) -> None:
    """Put events on a replay's list. One that is there already is left as it is."""
    columns = ("replay_id", "inbox_id", "account", "event_id", "status_before", "outcome")
    rows = [
        (replay_id, event.id, event.account, event.event_id, event.status, ItemOutcome.TODO)
        for event in found
    ]
    insert_rows(connection, replay_items, columns, rows, skip="inbox_id")


def next_items(connection: Connection, replay_id: int, limit: int) -> list[int]:
    """Inbox ids of the events whose turn comes next, in their order."""
    i = replay_items.c
    query = select(i.inbox_id).where(i.replay_id == replay_id, i.outcome == ItemOutcome.TODO)
    return list(connection.scalars(query.order_by(i.inbox_id).limit(limit)))


def record_outcomes(
    connection: Connection,
    replay_id: int,
    outcomes: Mapping[int, tuple[ItemOutcome, str]],
    version: str,
    now_ms: int,
) -> None:
    """Note what came of these events (by inbox id), and count it on the replay's row."""
    groups: dict[tuple[ItemOutcome, str], list[int]] = {}
    for inbox_id, (outcome, detail) in outcomes.items():
        groups.setdefault((outcome, detail[:255]), []).append(inbox_id)
    counts: dict[ItemOutcome, int] = {}
    i = replay_items.c
    for (outcome, detail), ids in groups.items():
        result = connection.execute(
            update(replay_items)
            .where(i.replay_id == replay_id, i.inbox_id.in_(ids), i.outcome == ItemOutcome.TODO)
            .values(outcome=outcome, detail=detail, version=version, done_at_ms=now_ms)
        )
        counts[outcome] = counts.get(outcome, 0) + result.rowcount
    if counts:
        connection.execute(
            update(replays)
            .where(replays.c.id == replay_id)
            .values({outcome.value: replays.c[outcome.value] + count for outcome, count in counts.items()})
        )


def replay_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Replays, newest first."""
    return page(connection, select(*replays.c), replays, filters, limit)


def item_list(
    connection: Connection,
    replay_id: int,
    after_inbox_id: int,
    limit: int,
    outcomes: Collection[ItemOutcome] = (),
) -> list[dict[str, Any]]:
    """Events of a replay in their order, with the status that each has now."""
    i = replay_items.c
    query = _items().where(i.replay_id == replay_id, i.inbox_id > after_inbox_id)
    if outcomes:
        query = query.where(i.outcome.in_(outcomes))
    rows = connection.execute(query.order_by(i.inbox_id).limit(limit))
    return [dict(row._mapping) for row in rows]


def details_of(connection: Connection, replay_id: int, most: int | None = None) -> list[dict[str, Any]]:
    """How many events of a replay came to each outcome, by the detail that it was noted with.

    `most`: counted among so many events of each outcome, the first ones. A replay may have very many.
    """
    items = _first_items(replay_id, most) if most is not None else _all_items(replay_id)
    i = items.c
    query = (
        select(i.outcome, i.detail, func.count().label("events"), func.min(i.inbox_id).label("first"))
        .group_by(i.outcome, i.detail)
        .order_by(func.count().desc(), i.outcome, i.detail)
        .limit(_DETAILS_MOST)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def replays_of(connection: Connection, inbox_id: int) -> list[dict[str, Any]]:
    """The replays that an event was part of, oldest first."""
    i, r = replay_items.c, replays.c
    query = (
        select(
            i.replay_id,
            r.requested_by,
            r.reason,
            i.status_before,
            i.outcome,
            i.detail,
            i.version,
            i.done_at_ms,
        )
        .join(replays, r.id == i.replay_id)
        .where(i.inbox_id == inbox_id)
        .order_by(i.replay_id)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


_DETAILS_MOST = 50


def _first_items(replay_id: int, most: int) -> Subquery:
    """So many items of each outcome, as the index of outcomes has them."""
    i = replay_items.c
    index = ("replay_id", "outcome", "inbox_id")
    some = []
    for outcome in ItemOutcome:
        query = select(i.outcome, i.detail, i.inbox_id).where(i.replay_id == replay_id, i.outcome == outcome)
        some.append(by_index(query.order_by(i.inbox_id).limit(most), replay_items, *index).subquery())
    return union_all(*(select(one) for one in some)).subquery()


def _all_items(replay_id: int) -> Subquery:
    i = replay_items.c
    return select(i.outcome, i.detail, i.inbox_id).where(i.replay_id == replay_id).subquery()


def _items() -> Select[Any]:
    i = replay_items.c
    columns = (
        i.inbox_id,
        i.event_id,
        i.account,
        i.status_before,
        i.outcome,
        i.detail,
        i.version,
        i.done_at_ms,
    )
    return select(*columns, inbox.c.status.label("status_now"), inbox.c.type, inbox.c.object_id).join(
        inbox, inbox.c.id == i.inbox_id
    )
