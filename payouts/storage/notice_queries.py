"""What operators ask about notices: lists, one with its deliveries, and those that are dead."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select

from payouts.notices import NOTICES_DEAD, DeliveryStatus
from payouts.storage.delivery_rows import DELIVERIES, Delivery
from payouts.storage.notice_tables import notice_deliveries
from payouts.storage.paging import page, window_floor
from payouts.storage.queries import Filters
from payouts.storage.tables import outbox

DEAD_LOOKED_AT = 1_000


_NOTICE = [
    outbox.c[name]
    for name in (
        *("id", "account", "name", "payout_id", "request_id"),
        *("status", "created_at_ms", "delivered_at_ms"),
    )
]


def notice_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Notices without their bodies, newest first, each with its `deliveries`."""
    found = page(connection, select(*_NOTICE), outbox, filters, limit)
    by_notice = _deliveries(connection, [row["id"] for row in found])
    return [{**row, "deliveries": by_notice.get(row["id"], [])} for row in found]


def notice_floor(connection: Connection, filters: Filters, most: int) -> int | None:
    """The id down to which `most` notices before the page reach, of the account alone where the filters name
    one; None where they reach the first."""
    account = filters.equal.get("account")
    of_one = None if account is None else ("account", account)
    return window_floor(connection, outbox, filters.before_id, most, of_one)


def notice(connection: Connection, notice_id: int) -> dict[str, Any] | None:
    """One notice with its `body` and its `deliveries`; None where there is none."""
    row = connection.execute(select(*_NOTICE, outbox.c.body).where(outbox.c.id == notice_id)).first()
    if row is None:
        return None
    return {**row._mapping, "deliveries": _deliveries(connection, [notice_id]).get(notice_id, [])}


def dead_of(connection: Connection, notice_id: int, channel: str | None) -> list[Delivery]:
    """The dead deliveries of a notice, of one channel or of all."""
    d = notice_deliveries.c
    found = DELIVERIES.find(connection, d.outbox_id == notice_id, d.status == DeliveryStatus.DEAD)
    return [delivery for delivery in found if channel in (None, delivery.channel)]


def dead_after(connection: Connection, delivery_id: int, channel: str | None, most: int) -> list[Delivery]:
    """Up to `most` dead deliveries whose ids are larger, of one channel or of all, oldest first."""
    d = notice_deliveries.c
    query = DELIVERIES.query(d.status == DeliveryStatus.DEAD, d.id > delivery_id)
    if channel is not None:
        query = query.where(d.channel == channel)
    return DELIVERIES.all(connection, query.limit(most))


def dead_channels(connection: Connection, since_ms: int) -> dict[str, str]:
    """The channels that gave up on a notice since then, each with what it said of the newest.

    Alerts of this very thing are left out: one that cannot be told must not make another.
    """
    d = notice_deliveries.c
    newest = (
        select(d.channel).where(d.status == DeliveryStatus.DEAD).order_by(d.id.desc()).limit(DEAD_LOOKED_AT)
    )
    channels = connection.scalars(select(newest.subquery().c.channel).distinct())
    found = {}
    for channel in sorted(channels):
        query = (
            select(d.last_error)
            .join_from(notice_deliveries, outbox, outbox.c.id == d.outbox_id)
            .where(
                d.channel == channel,
                d.status == DeliveryStatus.DEAD,
                d.due_at_ms > since_ms,
                outbox.c.name != NOTICES_DEAD,
            )
            .order_by(d.due_at_ms.desc())
            .limit(1)
        )
        row = connection.execute(query).first()
        if row is not None:
            found[channel] = str(row.last_error)
    return found


def _deliveries(connection: Connection, notice_ids: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    d = notice_deliveries.c
    columns = (d.channel, d.status, d.attempts, d.due_at_ms, d.delivered_at_ms, d.last_error)
    query = select(d.outbox_id, *columns).where(d.outbox_id.in_(notice_ids)).order_by(d.outbox_id, d.channel)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(query):
        values = dict(row._mapping)
        found.setdefault(values.pop("outbox_id"), []).append(values)
    return found
