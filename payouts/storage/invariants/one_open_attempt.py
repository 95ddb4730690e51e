"""A request has one call at a time whose outcome is not known: the next is written down after its answer."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from payouts.request import public_id
from payouts.states import AttemptStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import leg_attempts, payout_requests
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    t = leg_attempts.c
    query = (
        select(t.request_id, func.count().label("count"))
        .where(t.status == AttemptStatus.OPEN)
        .group_by(t.request_id)
        .having(func.count() > 1)
        .order_by(t.request_id)
    )
    for bounds in ranges(connection, payout_requests.c.id):
        for row in connection.execute(query.where(within(t.request_id, bounds))).all():
            yield Violation(public_id(row.request_id), f"has {row.count} calls whose outcome is open")


INVARIANT = Invariant(
    promise="no request has two calls to Stripe whose outcome is open",
    remedy="hold the request, and look in Stripe's Dashboard which of its calls came through",
    find=_find,
)
