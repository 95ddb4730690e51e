"""Whether one channel takes what it is given, by the deliveries of late: some rows from an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from payouts.notices import DeliveryStatus
from payouts.storage.notice_tables import notice_deliveries

LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class ChannelState:
    """`attempts`: how often it failed, at most, what it fails at now; 0: it fails at nothing."""

    used: bool
    delivered_at_ms: int | None
    attempts: int


def channel_state(connection: Connection, channel: str) -> ChannelState:
    """How `channel` does."""
    d = notice_deliveries.c
    pending = connection.execute(
        select(d.attempts, d.last_error)
        .where(d.channel == channel, d.status == DeliveryStatus.PENDING)
        .order_by(d.due_at_ms)
        .limit(LOOKED_AT)
    ).all()
    delivered = connection.scalar(
        select(func.max(d.due_at_ms)).where(d.channel == channel, d.status == DeliveryStatus.DELIVERED)
    )
    dead = connection.scalar(
        select(d.id).where(d.channel == channel, d.status == DeliveryStatus.DEAD).limit(1)
    )
    used = bool(pending) or delivered is not None or dead is not None
    return ChannelState(used, delivered, _attempts(pending))


def _attempts(pending: Sequence[Any]) -> int:
    return max((int(row.attempts) for row in pending if row.last_error is not None), default=0)
