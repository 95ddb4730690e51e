"""Only what is owed may be less than nothing (a debit after a payout). All else counts money that is
somewhere: what is on its way, paid, returned, in a Stripe account, at a bank.

`at_stripe` has two ways below zero that are no mistakes in the books. A reversal that fails after its money
has moved on takes it out of the Stripe account once more: that account may owe as much as the partner was
overpaid, and no more, and this is not reported (`alert.paid_twice` was). Or somebody takes back a transfer in
Stripe's Dashboard after its payout has left: then, too, the Stripe account owes that much. This is reported,
for nobody here meant it.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, and_, case, func, select

from payouts.ledger import PARTNER_KINDS, LedgerKind
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_accounts
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    a = ledger_accounts.c
    overpaid = ledger_accounts.alias("overpaid")
    o = overpaid.c
    counted = sorted(PARTNER_KINDS - {LedgerKind.OWED})
    may_owe = case((a.kind == LedgerKind.AT_STRIPE, func.coalesce(o.balance_minor, 0)), else_=0)
    same = and_(
        *(o.account == a.account, o.partner_id == a.partner_id, o.currency == a.currency),
        o.kind == LedgerKind.OVERPAID,
    )
    query = (
        select(a.id, a.account, a.kind, a.currency, a.balance_minor)
        .select_from(ledger_accounts)
        .outerjoin(overpaid, same)
        .where(a.kind.in_(counted), a.balance_minor < 0, a.balance_minor + may_owe < 0)
        .order_by(a.id)
    )
    for bounds in ranges(connection, a.id):
        for row in connection.execute(query.where(within(a.id, bounds))).all():
            yield Violation(f"{row.account} {row.kind} {row.currency}", f"is {row.balance_minor}")


INVARIANT = Invariant(
    promise="no partner has less than nothing on its way, paid, returned, overpaid, at its bank or in its "
    "Stripe account, which may owe what the partner was overpaid",
    remedy="look at the partner's journal and at its payouts in Stripe's Dashboard: more was paid, returned "
    "or taken back than was sent. Place a hold on the partner before anything else",
    find=_find,
)
