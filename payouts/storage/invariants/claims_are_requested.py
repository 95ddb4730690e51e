"""What a partner has on its way, paid and returned is what was requested for it, and nothing else: no
posting touches these ledger accounts but for a request."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, or_, select, union_all

from payouts.claims import CLAIM_KINDS, PLACES
from payouts.ledger import LedgerKind
from payouts.states import LegKind, LegStatus, RequestStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_accounts, legs, partners, payout_requests
from payouts.storage.walk import ranges, within

PARTNERS_AT_ONCE = 200


def _find(connection: Connection) -> Iterator[Violation]:
    for bounds in ranges(connection, partners.c.id, PARTNERS_AT_ONCE):
        for row in connection.execute(_query(bounds)).all():
            for kind in CLAIM_KINDS:
                over = int(getattr(row, kind))
                if over:
                    text = f"{kind} is {abs(over)} {'more' if over > 0 else 'less'} than its requests say"
                    yield Violation(f"partner {row.partner_id}", text)


def _query(bounds: tuple[int, int]) -> Select[Any]:
    a, r = ledger_accounts.c, payout_requests.c
    held = (
        select(a.partner_id, *(_sum_where(a.kind == kind, a.balance_minor, kind) for kind in CLAIM_KINDS))
        .where(within(a.partner_id, bounds), a.kind.in_(CLAIM_KINDS))
        .group_by(a.partner_id)
    )
    requested = (
        select(r.partner_id, *(_sum_where(_stands_in(kind), -r.amount_minor, kind) for kind in CLAIM_KINDS))
        .where(within(r.partner_id, bounds))
        .group_by(r.partner_id)
    )
    both = union_all(held, requested).subquery()
    sums = [func.sum(both.c[str(kind)]) for kind in CLAIM_KINDS]
    return (
        select(
            both.c.partner_id, *(sum_.label(str(kind)) for sum_, kind in zip(sums, CLAIM_KINDS, strict=True))
        )
        .group_by(both.c.partner_id)
        .having(or_(*(sum_ != 0 for sum_ in sums)))
        .order_by(both.c.partner_id)
    )


def _sum_where(condition: ColumnElement[bool], amount: Any, kind: LedgerKind) -> ColumnElement[Any]:
    return func.sum(case((condition, amount), else_=0)).label(str(kind))


def _stands_in(kind: LedgerKind) -> ColumnElement[bool]:
    """`payouts.claims.place_of`, as a condition."""
    r = payout_requests.c
    taking_back = exists().where(
        legs.c.request_id == r.id, legs.c.kind == LegKind.REVERSAL, legs.c.status == LegStatus.OPEN
    )
    clear = r.status.in_([status for status, place in PLACES.items() if place == kind])
    unclear = r.status == RequestStatus.UNCLEAR
    if kind == LedgerKind.IN_TRANSIT:
        return or_(clear, and_(unclear, ~taking_back))
    return or_(clear, and_(unclear, taking_back)) if kind == LedgerKind.RETURNED else clear


INVARIANT = Invariant(
    promise="what a partner has on its way, paid and returned is the sum of its requested payouts",
    remedy="something was posted that belongs to no request, or a request was changed by hand: compare "
    "`payouts ledger journal --partner` with `payouts payout requests`",
    find=_find,
)
