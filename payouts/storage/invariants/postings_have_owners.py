"""Every posting belongs to a transaction and to a ledger account: they are written before it, together."""

from collections.abc import Iterator

from sqlalchemy import Connection, or_, select

from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, postings
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    t, a, p = ledger_transactions.c, ledger_accounts.c, postings.c
    query = (
        select(p.id, p.amount_minor, t.id.label("transaction_id"), a.id.label("ledger_account_id"))
        .select_from(postings)
        .outerjoin(ledger_transactions, t.id == p.transaction_id)
        .outerjoin(ledger_accounts, a.id == p.ledger_account_id)
        .where(or_(t.id.is_(None), a.id.is_(None)))
        .order_by(p.id)
    )
    for bounds in ranges(connection, p.id):
        for row in connection.execute(query.where(within(p.id, bounds))).all():
            what = "transaction" if row.transaction_id is None else "ledger account"
            yield Violation(f"posting {row.id}", f"its {what} is gone; it is over {row.amount_minor}")


INVARIANT = Invariant(
    promise="every posting belongs to a transaction and to a ledger account",
    remedy="rows were removed by hand: restore them from a backup or from the database's log",
    find=_find,
)
