"""What changed in a partner's claim: the lines of its statement, straight from the ledger. Read-only."""

from typing import Any

from sqlalchemy import Connection, func, select

from payouts.ledger import LedgerKind
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, postings
from payouts.storage.paging import page
from payouts.storage.queries import Filters

CLAIM_KINDS = (LedgerKind.OWED, LedgerKind.IN_TRANSIT, LedgerKind.PAID, LedgerKind.RETURNED)
"""The ledger accounts of a partner that hold what it has earned, wherever that stands."""


def claim_lines(
    connection: Connection, partner_id: int, before_id: int | None, limit: int
) -> list[dict[str, Any]]:
    """The partner's transactions that moved its claim, newest first, each with its `changes` by kind.

    Movements of cash between Stripe balances are left out: they change nothing for the partner.
    """
    t, a = ledger_transactions.c, ledger_accounts.c
    moves_claim = (
        select(postings.c.id)
        .join(ledger_accounts, a.id == postings.c.ledger_account_id)
        .where(postings.c.transaction_id == t.id, a.kind.in_(CLAIM_KINDS))
        .correlate(ledger_transactions)
        .exists()
    )
    filters = Filters({}, before_id=before_id)
    query = select(*t).where(t.partner_id == partner_id, moves_claim)
    rows = page(connection, query, ledger_transactions, filters, limit)
    changes = _changes(connection, [row["id"] for row in rows])
    return [{**row, "changes": changes.get(row["id"], {})} for row in rows]


def _changes(connection: Connection, transaction_ids: list[int]) -> dict[int, dict[LedgerKind, int]]:
    a = ledger_accounts.c
    rows = connection.execute(
        select(postings.c.transaction_id, a.kind, func.sum(postings.c.amount_minor).label("total"))
        .join(ledger_accounts, a.id == postings.c.ledger_account_id)
        .where(postings.c.transaction_id.in_(transaction_ids), a.kind.in_(CLAIM_KINDS))
        .group_by(postings.c.transaction_id, a.kind)
    )
    found: dict[int, dict[LedgerKind, int]] = {}
    for row in rows:
        found.setdefault(row.transaction_id, {})[LedgerKind(row.kind)] = int(row.total)
    return found
