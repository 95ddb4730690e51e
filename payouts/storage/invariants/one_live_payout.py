"""Paid once, the second half: a request has at most one payout that is on its way or paid.

Another one is begun only after the one before failed, was canceled or came back by a reversal. The reversal
may be known as paid before Stripe has told of the original that it was reversed: the books follow the
reversal, and so does this.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, func, or_, select

from payouts.request import public_id
from payouts.states import LegKind, LegStatus, PayoutStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import legs, payout_requests
from payouts.storage.tables import payout_transitions, payouts
from payouts.storage.walk import ranges, within

OVER = (PayoutStatus.FAILED, PayoutStatus.CANCELED, PayoutStatus.REVERSED)


def _find(connection: Connection) -> Iterator[Violation]:
    g, y = legs.c, payouts.c
    live = (
        select(g.request_id, g.stripe_id)
        .select_from(legs)
        .outerjoin(payouts, y.stripe_id == g.stripe_id)
        .where(
            g.kind == LegKind.PAYOUT,
            g.status.in_((LegStatus.OPEN, LegStatus.DONE)),
            or_(y.status.is_(None), y.status.not_in(OVER)),
        )
    )
    several = (
        live.with_only_columns(g.request_id)
        .group_by(g.request_id)
        .having(func.count() > 1)
        .order_by(g.request_id)
    )
    for bounds in ranges(connection, payout_requests.c.id):
        doubtful = connection.scalars(several.where(within(g.request_id, bounds))).all()
        if not doubtful:
            continue
        back = _taken_back(connection, doubtful)
        counts = Counter(
            row.request_id
            for row in connection.execute(live.where(g.request_id.in_(doubtful)))
            if row.stripe_id not in back
        )
        for request_id in doubtful:
            if counts[request_id] > 1:
                yield Violation(
                    public_id(request_id), f"has {counts[request_id]} payouts on their way or paid"
                )


def _taken_back(connection: Connection, request_ids: Sequence[int]) -> set[str]:
    """Stripe ids of payouts of these requests whose reversal was paid, whatever became of that later."""
    y, t = payouts.c, payout_transitions.c
    query = (
        select(y.original_payout)
        .join(payout_transitions, t.payout_id == y.id)
        .where(y.request_id.in_(request_ids), y.amount_minor < 0, t.to_status == PayoutStatus.PAID)
    )
    return {original for original in connection.scalars(query) if original}


INVARIANT = Invariant(
    promise="no request has two payouts that are on their way or paid",
    remedy="stop paying (`payouts stop`), look for both payouts in Stripe's Dashboard by the request's id, "
    "and cancel or reverse one",
    find=_find,
)
