"""Deliveries: one row for each notice and channel, with what came of it so far.

Rows are locked in one order by everybody: the outbox, then deliveries, each by id.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from payouts.notices import DeliveryStatus, NoticeStatus
from payouts.storage.notice_tables import notice_deliveries
from payouts.storage.records import Records
from payouts.storage.tables import outbox


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of `notice_deliveries`."""

    id: int
    account: str
    outbox_id: int
    channel: str
    status: DeliveryStatus
    due_at_ms: int
    attempts: int
    last_error: str | None
    delivered_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a claimed delivery.

    `due_at_ms`: when to try again; None: no more. `error`: why it failed; None: it was delivered or, with a
    time to try again, was not tried. `counts` False: it failed before the channel looked at it.
    """

    delivery_id: int
    outbox_id: int
    due_at_ms: int | None = None
    error: str | None = None
    counts: bool = True


DELIVERIES = Records(
    notice_deliveries,
    Delivery,
    fixed={"id", "account", "outbox_id", "channel"},
    reads={"status": DeliveryStatus},
)


def record(connection: Connection, results: Iterable[Result], now_ms: int) -> None:
    """Record what came of claimed deliveries, and with it where their notices stand.

    What somebody else has delivered meanwhile, after a lease that ran out, stays delivered.
    """
    by_id = {result.delivery_id: result for result in results}
    held = _lock(connection, {result.outbox_id for result in by_id.values()}, by_id)
    open_ = [delivery for delivery in held if delivery.status != DeliveryStatus.DELIVERED]
    DELIVERIES.save(connection, [_after(delivery, by_id[delivery.id], now_ms) for delivery in open_])
    tried = {d.outbox_id for d in open_ if by_id[d.id].error is not None or by_id[d.id].due_at_ms is None}
    _settle(connection, tried, now_ms)


def send_again(connection: Connection, deliveries: Sequence[Delivery], now_ms: int) -> list[Delivery]:
    """Make dead deliveries due now, as if never tried; returns those that were dead still."""
    held = _lock(connection, {d.outbox_id for d in deliveries}, {d.id for d in deliveries})
    again = [
        dataclasses.replace(delivery, status=DeliveryStatus.PENDING, due_at_ms=now_ms, attempts=0)
        for delivery in held
        if delivery.status == DeliveryStatus.DEAD
    ]
    DELIVERIES.save(connection, again)
    set_status(connection, {delivery.outbox_id for delivery in again}, status=NoticeStatus.ROUTED)
    return again


def set_status(connection: Connection, outbox_ids: Collection[int], **values: Any) -> None:
    """Write the same values to these rows of the outbox, which this transaction has locked."""
    if outbox_ids:
        connection.execute(update(outbox).where(outbox.c.id.in_(sorted(outbox_ids))).values(**values))


def over(status: NoticeStatus, now_ms: int) -> Mapping[str, Any]:
    """The values of a notice that no channel has to take any more. It is pruned by its `due_at_ms`."""
    delivered = {"delivered_at_ms": now_ms} if status == NoticeStatus.DELIVERED else {}
    return {"status": status, "due_at_ms": now_ms, **delivered}


def _lock(connection: Connection, outbox_ids: Collection[int], ids: Iterable[int]) -> list[Delivery]:
    # The notices too: two channels of one must not both find that the other is not done yet.
    connection.execute(
        select(outbox.c.id).where(outbox.c.id.in_(sorted(outbox_ids))).order_by(outbox.c.id).with_for_update()
    ).all()
    return DELIVERIES.lock(connection, notice_deliveries.c.id, ids)


def _after(delivery: Delivery, result: Result, now_ms: int) -> Delivery:
    if result.due_at_ms is not None and result.error is None:
        return dataclasses.replace(delivery, due_at_ms=result.due_at_ms)
    changes: dict[str, Any] = {"attempts": delivery.attempts + result.counts, "last_error": result.error}
    if result.due_at_ms is not None:
        changes |= {"due_at_ms": result.due_at_ms}
    elif result.error is not None:
        changes |= {"due_at_ms": now_ms, "status": DeliveryStatus.DEAD}
    else:
        changes |= {"due_at_ms": now_ms, "status": DeliveryStatus.DELIVERED, "delivered_at_ms": now_ms}
        del changes["last_error"]  # stays: how an earlier attempt failed
    return dataclasses.replace(delivery, **changes)


def _settle(connection: Connection, outbox_ids: Collection[int], now_ms: int) -> None:
    d = notice_deliveries.c
    statuses: dict[int, set[str]] = {}
    for row in connection.execute(select(d.outbox_id, d.status).where(d.outbox_id.in_(sorted(outbox_ids)))):
        statuses.setdefault(row.outbox_id, set()).add(row.status)
    done = {row_id for row_id, found in statuses.items() if DeliveryStatus.PENDING not in found}
    dead = {row_id for row_id in done if DeliveryStatus.DEAD in statuses[row_id]}
    set_status(connection, dead, **over(NoticeStatus.DEAD, now_ms))
    set_status(connection, done - dead, **over(NoticeStatus.DELIVERED, now_ms))
