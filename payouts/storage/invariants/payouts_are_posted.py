"""A payout of a request moved what its state says it moved, whichever way it came to that state.

Compared are sums, not single postings: a payout that was paid before it failed has more of them than one that
failed at once, and both come to the same.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from payouts.ledger import steps_of_payout
from payouts.states import PayoutStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, postings
from payouts.storage.tables import payouts
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    y, t, p, a = payouts.c, ledger_transactions.c, postings.c, ledger_accounts.c
    query = (
        select(y.id, y.stripe_id, y.status, y.amount_minor, a.kind, func.sum(p.amount_minor).label("total"))
        .select_from(payouts)
        .outerjoin(ledger_transactions, t.payout_id == y.id)
        .outerjoin(postings, p.transaction_id == t.id)
        .outerjoin(ledger_accounts, a.id == p.ledger_account_id)
        .where(y.request_id.is_not(None))
        .group_by(y.id, y.stripe_id, y.status, y.amount_minor, a.kind)
        .order_by(y.id)
    )
    for bounds in ranges(connection, y.id):
        seen: dict[tuple[str, str | None, int], dict[str, int]] = {}
        for row in connection.execute(query.where(within(y.id, bounds))):
            sums = seen.setdefault((row.stripe_id, row.status, row.amount_minor), {})
            if row.total:
                sums[row.kind] = int(row.total)
        for (stripe_id, status, amount_minor), sums in seen.items():
            wanted = _wanted(status, amount_minor)
            if sums != wanted:
                yield Violation(stripe_id, f"is {status}, so {wanted} is right; posted is {sums}")


def _wanted(status: str | None, amount_minor: int) -> dict[str, int]:
    if status is None:
        return {}
    sums: dict[str, int] = {}
    for step in steps_of_payout(None, PayoutStatus(status), amount_minor):
        for move in step.movements:
            sums[move.source] = sums.get(move.source, 0) - move.amount_minor
            sums[move.target] = sums.get(move.target, 0) + move.amount_minor
    return {str(kind): amount for kind, amount in sums.items() if amount}


INVARIANT = Invariant(
    promise="every payout of a request has moved in the ledger what its state says",
    remedy="compare the payout's transitions (`payouts payout show`) with its postings (`payouts ledger "
    "journal`) and with Stripe's Dashboard",
    find=_find,
)
