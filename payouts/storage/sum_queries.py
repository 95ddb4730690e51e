"""Sums over ledger accounts, a bounded number of rows at a time: no statement takes long."""

from collections.abc import Iterator

from sqlalchemy import Connection, Select, func, select

from payouts.ledger import PARTNER_KINDS, PLATFORM_KINDS, LedgerKind
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_queries import platform_accounts
from payouts.storage.ledger_rows import NO_PARTNER
from payouts.storage.money_tables import ledger_accounts, postings

AT_ONCE = 20_000


def summed_kinds(connection: Connection) -> Iterator[tuple[str, LedgerKind]]:
    """Each currency with each kind of ledger account. A currency is known by the platform's accounts: all
    that a partner has began as a credit, and is in them."""
    own = platform_accounts(connection)
    for currency in sorted({currency for currency, _ in own}):
        yield from ((currency, kind) for kind in LedgerKind if kind in PARTNER_KINDS)
        yield from ((currency, kind) for kind in LedgerKind if (currency, kind) in own)


def sum_at_most(connection: Connection, currency: str, kind: LedgerKind, most: int) -> tuple[int | None, int]:
    """What a kind holds in all, with how many rows it was counted from; None where there are over `most`."""
    rows = _rows(connection, currency, kind)
    if rows is None:
        return 0, 0
    some = rows.limit(most + 1).subquery()
    count, total = connection.execute(select(func.count(), func.sum(some.c.amount))).one()
    return (None if count > most else int(total or 0)), min(count, most)


def sum_of(connection: Connection, currency: str, kind: LedgerKind) -> int:
    """What a kind holds in all, however much was posted, in steps; what is posted meanwhile may be in it.
    The transaction ends after each step."""
    rows = _rows(connection, currency, kind)
    total, after = 0, 0
    while rows is not None:
        page = rows.where(rows.selected_columns.id > after).order_by(rows.selected_columns.id)
        some = page.limit(AT_ONCE).subquery()
        count, added, last = connection.execute(
            select(func.count(), func.sum(some.c.amount), func.max(some.c.id))
        ).one()
        connection.rollback()
        total += int(added or 0)
        if count < AT_ONCE:
            break
        after = int(last)
    return total


def _rows(connection: Connection, currency: str, kind: LedgerKind) -> Select[tuple[int, int]] | None:
    """Ids and amounts: the balances of partners, or the platform's postings, each from an index."""
    a, p = ledger_accounts.c, postings.c
    if kind not in PLATFORM_KINDS:
        return select(a.id, a.balance_minor.label("amount")).where(
            a.kind == kind, a.currency == currency, a.partner_id != NO_PARTNER
        )
    one = (a.account == PLATFORM, a.partner_id == NO_PARTNER, a.kind == kind, a.currency == currency)
    account_id = connection.scalar(select(a.id).where(*one))
    if account_id is None:
        return None
    return select(p.id, p.amount_minor.label("amount")).where(p.ledger_account_id == account_id)
