"""Paid once, the first half: a request has at most one transfer that was not taken back.

A new transfer leg is begun only where there is none, or none that could have been made.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from payouts.request import public_id
from payouts.states import LegKind, LegStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import legs, payout_requests
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    g = legs.c
    query = (
        select(g.request_id, func.count().label("count"))
        .where(g.kind == LegKind.TRANSFER, g.status.in_((LegStatus.OPEN, LegStatus.DONE)))
        .group_by(g.request_id)
        .having(func.count() > 1)
        .order_by(g.request_id)
    )
    for bounds in ranges(connection, payout_requests.c.id):
        for row in connection.execute(query.where(within(g.request_id, bounds))).all():
            yield Violation(public_id(row.request_id), f"has {row.count} transfers")


INVARIANT = Invariant(
    promise="no request has two transfers that were not taken back",
    remedy="stop paying (`payouts stop`), look for both transfers in Stripe's Dashboard by the request's id, "
    "and take one back",
    find=_find,
)
