"""Paid once, the second half: a request has at most one payout that is on its way or paid.

Another one is begun only after the one before failed, was canceled or came back by a reversal.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, func, or_, select

from payouts.request import public_id
from payouts.states import LegKind, LegStatus, PayoutStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import legs, payout_requests
from payouts.storage.tables import payouts
from payouts.storage.walk import ranges, within

OVER = (PayoutStatus.FAILED, PayoutStatus.CANCELED, PayoutStatus.REVERSED)


def _find(connection: Connection) -> Iterator[Violation]:
    g, y = legs.c, payouts.c
    query = (
        select(g.request_id, func.count().label("count"))
        .select_from(legs)
        .outerjoin(payouts, y.stripe_id == g.stripe_id)
        .where(
            g.kind == LegKind.PAYOUT,
            g.status.in_((LegStatus.OPEN, LegStatus.DONE)),
            or_(y.status.is_(None), y.status.not_in(OVER)),
        )
        .group_by(g.request_id)
        .having(func.count() > 1)
        .order_by(g.request_id)
    )
    for bounds in ranges(connection, payout_requests.c.id):
        for row in connection.execute(query.where(within(g.request_id, bounds))).all():
            yield Violation(public_id(row.request_id), f"has {row.count} payouts on their way or paid")


INVARIANT = Invariant(
    promise="no request has two payouts that are on their way or paid",
    remedy="stop paying (`payouts stop`), look for both payouts in Stripe's Dashboard by the request's id, "
    "and cancel or reverse one",
    find=_find,
)
