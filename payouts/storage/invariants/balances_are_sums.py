"""A partner's balances are kept beside its postings, in the same transaction, so that they can be locked."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from payouts.storage.invariants import Invariant, Violation
from payouts.storage.ledger_rows import NO_PARTNER
from payouts.storage.money_tables import ledger_accounts, postings
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    a, p = ledger_accounts.c, postings.c
    total = func.coalesce(func.sum(p.amount_minor), 0)
    query = (
        select(a.id, a.account, a.kind, a.currency, a.balance_minor, total.label("total"))
        .select_from(ledger_accounts)
        .outerjoin(postings, p.ledger_account_id == a.id)
        .where(a.partner_id != NO_PARTNER)
        .group_by(a.id, a.account, a.kind, a.currency, a.balance_minor)
        .having(total != a.balance_minor)
        .order_by(a.id)
    )
    for bounds in ranges(connection, a.id):
        for row in connection.execute(query.where(within(a.id, bounds))).all():
            yield Violation(
                f"{row.account} {row.kind} {row.currency}",
                f"the balance kept is {row.balance_minor}, its postings sum to {row.total}",
            )


INVARIANT = Invariant(
    promise="the balance kept for a partner is the sum of its postings",
    remedy="stop paying (`payouts stop`), find out which of the two is right from the journal, then set "
    "balance_minor of the ledger account to the sum of its postings",
    find=_find,
)
