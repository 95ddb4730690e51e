"""Double entry: what a transaction adds to one ledger account it takes from another.

`Entry.sums` is made of movements, each of which has two equal sides, and a transaction is inserted together
with its postings. A transaction without any would be one whose movements cancel each other out; none does.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, func, or_, select

from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, postings
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    t, a, p = ledger_transactions.c, ledger_accounts.c, postings.c
    total = func.sum(p.amount_minor)
    query = (
        select(t.id, t.account, t.reference, a.currency, total.label("total"))
        .select_from(ledger_transactions)
        .outerjoin(postings, p.transaction_id == t.id)
        .outerjoin(ledger_accounts, a.id == p.ledger_account_id)
        .group_by(t.id, t.account, t.reference, a.currency)
        .having(or_(total != 0, func.count(p.id) == 0))
        .order_by(t.id)
    )
    for bounds in ranges(connection, t.id):
        for row in connection.execute(query.where(within(t.id, bounds))).all():
            what = "has no postings" if row.total is None else f"sums to {row.total} {row.currency}"
            yield Violation(f"transaction {row.id}", f"{row.reference!r} of {row.account} {what}")


INVARIANT = Invariant(
    promise="the postings of every transaction sum to zero in each currency",
    remedy="postings were changed, removed or cut short: restore them from a backup or from the database's "
    "log; do not post corrections on top",
    find=_find,
)
