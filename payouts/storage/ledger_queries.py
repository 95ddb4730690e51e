"""What is asked about the ledger: transactions by reference, the journal, sums. Read-only."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from payouts.ids import floor_id
from payouts.ledger import LedgerKind
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, partners, postings
from payouts.storage.paging import page, window_floor
from payouts.storage.queries import PAGE, Filters
from payouts.storage.records import Records

CLOCKS_DIFFER_MS = 60_000
"""By how much the clock of the process that drew an id may differ from the one that wrote the time."""


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


@dataclass(frozen=True, slots=True)
class Posting:
    """What a transaction added to one ledger account. `partner_id` 0: the platform's."""

    partner_id: int
    kind: LedgerKind
    currency: str
    amount_minor: int


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
    return _with_postings(connection, rows)


def journal_floor(connection: Connection, filters: Filters, most: int) -> int | None:
    """The id down to which `most` transactions before the page reach, of the partner alone where the filters
    name one; None where they reach the first."""
    partner_id = filters.equal.get("partner_id")
    of_one = None if partner_id is None else ("partner_id", partner_id)
    return window_floor(connection, ledger_transactions, filters.before_id, most, of_one)


def journal_between(
    connection: Connection, from_ms: int, until_ms: int, partner_id: int | None = None
) -> Iterator[dict[str, Any]]:
    """Transactions posted in a time with their `postings`, oldest first, page by page. As ids grow with
    time, they lead to the rows; the times on the rows decide."""
    t = ledger_transactions.c
    query = (
        select(*t, partners.c.reference.label("partner"))
        .outerjoin(partners, partners.c.id == t.partner_id)
        .where(t.id < floor_id(until_ms + CLOCKS_DIFFER_MS))
        .where(t.posted_at_ms >= from_ms, t.posted_at_ms < until_ms)
        .order_by(t.id)
        .limit(PAGE)
    )
    if partner_id is not None:
        query = query.where(t.partner_id == partner_id)
    after = floor_id(from_ms - CLOCKS_DIFFER_MS) - 1
    while True:
        rows = [dict(row._mapping) for row in connection.execute(query.where(t.id > after))]
        rows = _with_postings(connection, rows)
        connection.rollback()  # however slowly it is read, no transaction stays open for it
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1]["id"]


def _with_postings(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    moved = postings_of(connection, [row["id"] for row in rows])
    names = ("kind", "currency", "amount_minor")
    return [
        {**row, "postings": [{name: getattr(p, name) for name in names} for p in moved.get(row["id"], [])]}
        for row in rows
    ]


def postings_of(connection: Connection, transaction_ids: Collection[int]) -> dict[int, list[Posting]]:
    """The postings of these transactions. In two steps: where a join begins with the few ledger accounts,
    the database reads all that was ever posted to them."""
    if not transaction_ids:
        return {}
    p, a = postings.c, ledger_accounts.c
    rows = connection.execute(
        select(p.transaction_id, p.ledger_account_id, p.amount_minor)
        .where(p.transaction_id.in_(transaction_ids))
        .order_by(p.id)
    ).all()
    ids = {row.ledger_account_id for row in rows}
    of = {
        row.id: row
        for row in connection.execute(
            select(a.id, a.partner_id, a.kind, a.currency).where(a.id.in_(sorted(ids)))
        )
    }
    found: dict[int, list[Posting]] = {}
    for row in rows:
        account = of[row.ledger_account_id]
        posting = Posting(account.partner_id, LedgerKind(account.kind), account.currency, row.amount_minor)
        found.setdefault(row.transaction_id, []).append(posting)
    return found


def request_balance(connection: Connection, request_id: int, kind: LedgerKind) -> int:
    """What the transactions of a request have left in its partner's ledger account of a kind."""
    t, p, a = ledger_transactions.c, postings.c, ledger_accounts.c
    total = connection.scalar(
        select(func.sum(p.amount_minor))
        .select_from(ledger_transactions)
        .join(postings, p.transaction_id == t.id)
        .join(ledger_accounts, a.id == p.ledger_account_id)
        .where(t.request_id == request_id, a.kind == kind)
    )
    return int(total or 0)


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
