"""The outbox on its way out: rows get their channels, what is due is claimed, what is long over goes.

What somebody else has locked is left to them.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, or_, select, union_all
from sqlalchemy.exc import IntegrityError

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.notices import DeliveryStatus, Notice, NoticeStatus, Undelivered, held_back, subjects_of
from payouts.storage.delivery_rows import DELIVERIES, Delivery, over, set_status
from payouts.storage.notice_tables import notice_deliveries
from payouts.storage.tables import outbox
from payouts.topics import names_of, topic_of

HOLD_MS = 500
"""For so long a notice waits whose elder is under way. Where that was put off, it waits as long as that."""
_NOTICE = [outbox.c[field.name] for field in dataclasses.fields(Notice)]
_OPEN = (NoticeStatus.PENDING, NoticeStatus.ROUTED)


def route(
    connection: Connection,
    channels_of: Callable[[str], Collection[str]],
    make_id: IdMaker,
    now_ms: int,
    most: int,
) -> int:
    """Give up to `most` new notices their channels, the oldest first; returns how many there were.

    Raises RowIdTakenError: the unit of work draws again.
    """
    o = outbox.c
    found = connection.execute(
        select(o.id, o.account, o.name, o.due_at_ms)
        .where(o.status == NoticeStatus.PENDING, o.due_at_ms <= now_ms)
        .order_by(o.due_at_ms, o.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    new = [
        Delivery(make_id(), row.account, row.id, name, DeliveryStatus.PENDING, row.due_at_ms, 0, None, None)
        for row in found
        for name in channels_of(row.name)
    ]
    try:
        DELIVERIES.insert(connection, new)
    except IntegrityError:
        raise RowIdTakenError(f"a row id for one of {len(new)} deliveries is taken") from None
    routed = {delivery.outbox_id for delivery in new}
    set_status(connection, routed, status=NoticeStatus.ROUTED)
    set_status(connection, {row.id for row in found} - routed, **over(NoticeStatus.DELIVERED, now_ms))
    return len(found)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery to make now, while its lease lasts."""

    delivery: Delivery
    notice: Notice


@dataclass(frozen=True, slots=True)
class Claim:
    """What was due: the deliveries to make now, in their order, and the number of all that were found, with
    those that were put off because they wait for an older one."""

    claimed: list[Claimed]
    found: int


def claim(connection: Connection, channel: str, now_ms: int, lease_ms: int, most: int) -> Claim:
    """Claim up to `most` deliveries of `channel` that are due: nobody else finds them for `lease_ms`."""
    d = notice_deliveries.c
    is_due = (d.channel == channel, d.status == DeliveryStatus.PENDING, d.due_at_ms <= now_ms)
    query = DELIVERIES.query(*is_due).order_by(None).order_by(d.due_at_ms, d.id).limit(most)
    found = DELIVERIES.all(connection, query.with_for_update(skip_locked=True))
    if not found:
        return Claim([], 0)
    notices = _notices(connection, {delivery.outbox_id for delivery in found})
    held = held_back(list(notices.values()), _undelivered(connection, channel, notices.values()))
    due_at_ms = dict.fromkeys(notices, now_ms + lease_ms)
    due_at_ms |= {row_id: max(until_ms, now_ms + HOLD_MS) for row_id, until_ms in held.items()}
    leased = [dataclasses.replace(row, due_at_ms=due_at_ms[row.outbox_id]) for row in found]
    DELIVERIES.save(connection, leased)
    mine = [Claimed(row, notices[row.outbox_id]) for row in leased if row.outbox_id not in held]
    return Claim(sorted(mine, key=lambda claimed: claimed.notice.id), len(found))


def is_due(connection: Connection, channels: Iterable[str], now_ms: int) -> bool:
    """Whether there is a notice to route, or one for these channels to take."""
    o, d = outbox.c, notice_deliveries.c
    queries: list[Select[Any]] = [
        select(o.id).where(o.status == NoticeStatus.PENDING, o.due_at_ms <= now_ms),
        *(
            select(d.id).where(
                d.channel == channel, d.status == DeliveryStatus.PENDING, d.due_at_ms <= now_ms
            )
            for channel in channels
        ),
    ]
    return any(connection.execute(query.limit(1)).first() is not None for query in queries)


def prune(connection: Connection, before_ms: int, most: int) -> int:
    """Delete up to `most` notices that were delivered before `before_ms`; returns how many there were."""
    o = outbox.c
    query = (
        select(o.id)
        .where(o.status == NoticeStatus.DELIVERED, o.due_at_ms < before_ms)
        .order_by(o.due_at_ms, o.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.scalars(query))
    if ids:
        connection.execute(delete(notice_deliveries).where(notice_deliveries.c.outbox_id.in_(ids)))
        connection.execute(delete(outbox).where(o.id.in_(ids)))
    return len(ids)


def _notices(connection: Connection, ids: Collection[int]) -> dict[int, Notice]:
    rows = connection.execute(select(*_NOTICE).where(outbox.c.id.in_(sorted(ids))))
    return {row.id: Notice(*row) for row in rows}


def _undelivered(connection: Connection, channel: str, notices: Collection[Notice]) -> list[Undelivered]:
    """What `channel` has yet to take about the payouts, requests and topics of `notices`.

    One statement, for those without their channels too: between two, one could go from the one kind to the
    other unseen.
    """
    o, d = outbox.c, notice_deliveries.c
    here = and_(d.outbox_id == o.id, d.channel == channel)
    queries = [
        select(o.id, o.account, o.name, o.payout_id, o.request_id, d.attempts, d.due_at_ms)
        .select_from(outbox.outerjoin(notice_deliveries, here))
        .where(
            about,
            o.status.in_(_OPEN),
            or_(o.status == NoticeStatus.PENDING, d.status == DeliveryStatus.PENDING),
        )
        for about in _about(notices)
    ]
    if not queries:
        return []
    return [
        # Never failed yet: it is under way, or will be at any moment.
        Undelivered(row_id, subjects_of(*about), due_at_ms if attempts else 0)
        for row_id, *about, attempts, due_at_ms in connection.execute(union_all(*queries))
    ]


def _about(notices: Collection[Notice]) -> Iterator[ColumnElement[bool]]:
    """What is true of a notice about the same as one of `notices`, a condition for each index."""
    o = outbox.c
    for column, ids in (
        (o.payout_id, {notice.payout_id for notice in notices} - {None}),
        (o.request_id, {notice.request_id for notice in notices} - {None}),
    ):
        if ids:
            yield column.in_(ids)
    accounts: dict[str, set[str]] = {}
    for notice in notices:
        topic = topic_of(notice.name)
        if topic is not None:
            accounts.setdefault(topic, set()).add(notice.account)
    for topic, found in accounts.items():
        yield and_(o.account.in_(found), o.name.in_(names_of(topic)))
