"""What is asked about the ledger: transactions by reference, the journal, sums. Read-only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from payouts.ledger import LedgerKind
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, partners, postings
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as it was posted; the fields are the columns of its table."""

    id: int
    account: str
    partner_id: int
    kind: str
    reference: str
    request_id: int | None
    payout_id: int | None
    description: str | None
    actor: str | None
    effective_at_ms: int
    posted_at_ms: int


TRANSACTIONS = Records(ledger_transactions, Transaction, fixed=Transaction.__dataclass_fields__, reads={})


def find_transactions(
    connection: Connection, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Transaction]:
    """The transactions with these accounts and references."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    t = ledger_transactions.c
    found = TRANSACTIONS.find(connection, tuple_(t.account, t.reference).in_(wanted))
    return {(transaction.account, transaction.reference): transaction for transaction in found}


def journal(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Transactions with their partner's reference and their `postings`, newest first."""
    query = select(*ledger_transactions.c, partners.c.reference.label("partner")).outerjoin(
        partners, partners.c.id == ledger_transactions.c.partner_id
    )
    rows = page(connection, query, ledger_transactions, filters, limit)
    moved = _postings(connection, [row["id"] for row in rows])
    return [{**row, "postings": moved.get(row["id"], [])} for row in rows]


def _postings(connection: Connection, transaction_ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    a = ledger_accounts.c
    rows = connection.execute(
        select(postings.c.transaction_id, a.kind, a.currency, postings.c.amount_minor)
        .join(ledger_accounts, a.id == postings.c.ledger_account_id)
        .where(postings.c.transaction_id.in_(transaction_ids))
        .order_by(postings.c.id)
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        line = {"kind": row.kind, "currency": row.currency, "amount_minor": row.amount_minor}
        found.setdefault(row.transaction_id, []).append(line)
    return found


def partner_sums(connection: Connection) -> dict[tuple[str, LedgerKind], int]:
    """What all partners hold together, by currency and kind: the sums of their balances."""
    a = ledger_accounts.c
    rows = connection.execute(
        select(a.currency, a.kind, func.sum(a.balance_minor).label("total"))
        .where(a.partner_id != 0)
        .group_by(a.currency, a.kind)
    )
    return {(row.currency, LedgerKind(row.kind)): int(row.total) for row in rows}


def platform_accounts(connection: Connection) -> list[tuple[str, LedgerKind]]:
    """The platform's own ledger accounts, as currency and kind."""
    a = ledger_accounts.c
    rows = connection.execute(
        select(a.currency, a.kind).where(a.partner_id == 0).order_by(a.currency, a.kind)
    )
    return [(row.currency, LedgerKind(row.kind)) for row in rows]
