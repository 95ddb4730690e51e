"""Only what is owed may be less than nothing (a debit after a payout). All else counts money that is
somewhere: what is on its way, paid, returned, in a Stripe account, at a bank.

`at_stripe` has one way below zero that is no mistake in the books: somebody takes back a transfer in Stripe's
Dashboard after its payout has left. Then the partner's Stripe account does owe that much.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from payouts.ledger import PARTNER_KINDS, LedgerKind
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_accounts
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    a = ledger_accounts.c
    counted = sorted(PARTNER_KINDS - {LedgerKind.OWED})
    query = (
        select(a.id, a.account, a.kind, a.currency, a.balance_minor)
        .where(a.kind.in_(counted), a.balance_minor < 0)
        .order_by(a.id)
    )
    for bounds in ranges(connection, a.id):
        for row in connection.execute(query.where(within(a.id, bounds))).all():
            yield Violation(f"{row.account} {row.kind} {row.currency}", f"is {row.balance_minor}")


INVARIANT = Invariant(
    promise="no partner has less than nothing on its way, paid, returned, in its Stripe account or at "
    "its bank",
    remedy="look at the partner's journal and at its payouts in Stripe's Dashboard: more was paid, returned "
    "or taken back than was sent. Place a hold on the partner before anything else",
    find=_find,
)
