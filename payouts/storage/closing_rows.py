"""Closed months: the row that says so, and the sums of what was posted in them."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.money_tables import ledger_accounts, ledger_closes, ledger_transactions, postings

GUARD = "0000-00"
"""The `period` of a row that is none: postings with a date of their own share its lock, closing takes it."""
SLICE_MS = 3_600_000
"""Postings are summed an hour at a time: no statement takes long, however many there are."""

ACCOUNTS_AT_ONCE = 1_000
START = "0" * 64
"""What the first closed month has for the digest of the one before."""

Sums = dict[str, dict[str, int]]
"""Minor units by currency, then by kind of ledger account."""


@dataclass(frozen=True, slots=True)
class Close:
    """A closed month. `digest` and sums are None until its postings are counted."""

    id: int
    period: str
    from_ms: int
    until_ms: int
    transactions: int | None
    sums: Sums | None
    previous: str | None
    digest: str | None
    closed_by: str
    closed_at_ms: int

    def seal(self) -> str:
        """SHA-256 over the month, its sums and the digest of the month before: what `digest` must be."""
        names = ("period", "from_ms", "until_ms", "transactions", "sums", "previous")
        content = {name: getattr(self, name) for name in names}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


_COLUMNS = [ledger_closes.c[field.name] for field in dataclasses.fields(Close)]


def closed_until_ms(connection: Connection, make_id: IdMaker, now_ms: int, *, closing: bool = False) -> int:
    """Nothing that counts before this may be posted; it stays true until the caller's transaction ends.

    `closing`: waits for all transactions that hold this promise, and keeps others from getting it.
    """
    c = ledger_closes.c
    guard = select(c.id).where(c.account == PLATFORM, c.period == GUARD).with_for_update(read=not closing)
    if connection.scalar(guard) is None:
        _insert(connection, make_id(), GUARD, 0, 0, "system", now_ms)
        if connection.scalar(guard) is None:
            raise RowIdTakenError("the row id of the guard of closed months is taken")
    return int(connection.scalar(select(func.max(c.until_ms)).where(c.account == PLATFORM)) or 0)


def insert_close(
    connection: Connection, row_id: int, period: str, from_ms: int, until_ms: int, actor: str, now_ms: int
) -> None:
    """Close a month, under the lock of `closed_until_ms(…, closing=True)`; its sums come later."""
    if not _insert(connection, row_id, period, from_ms, until_ms, actor, now_ms):
        raise RowIdTakenError(f"the row id of the month {period} is taken")


def _insert(
    connection: Connection, row_id: int, period: str, from_ms: int, until_ms: int, actor: str, now_ms: int
) -> int:
    columns = ("id", "account", "period", "from_ms", "until_ms", "closed_by", "closed_at_ms")
    row = (row_id, PLATFORM, period, from_ms, until_ms, actor, now_ms)
    return insert_rows(connection, ledger_closes, columns, [row], skip="period")


def finish_close(connection: Connection, close: Close) -> None:
    """Write what was counted. A second one that counted the same changes nothing."""
    connection.execute(
        update(ledger_closes)
        .where(ledger_closes.c.id == close.id, ledger_closes.c.digest.is_(None))
        .values(
            transactions=close.transactions,
            sums=json.dumps(close.sums, sort_keys=True),
            previous=close.previous,
            digest=close.digest,
        )
    )


def find_close(connection: Connection, period: str) -> Close | None:
    """The row of a closed month."""
    c = ledger_closes.c
    row = connection.execute(select(*_COLUMNS).where(c.account == PLATFORM, c.period == period)).first()
    return _close(row) if row is not None else None


def closes(connection: Connection) -> list[Close]:
    """All closed months, the oldest first. Twelve a year."""
    c = ledger_closes.c
    rows = connection.execute(
        select(*_COLUMNS).where(c.account == PLATFORM, c.period != GUARD).order_by(c.until_ms)
    )
    return [_close(row) for row in rows]


def sums_between(connection: Connection, from_ms: int, until_ms: int) -> tuple[int, Sums]:
    """How many transactions count between these times, and what they added to each kind of ledger account."""
    transactions, sums = 0, dict[str, dict[str, int]]()
    for begin_ms, end_ms in _slices(connection, from_ms, until_ms):
        transactions += _transactions(connection, begin_ms, end_ms)
        for currency, kind, total in _summed(connection, begin_ms, end_ms):
            kinds = sums.setdefault(currency, {})
            kinds[kind] = kinds.get(kind, 0) + total
    return transactions, sums


def _slices(connection: Connection, from_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    effective = ledger_transactions.c.effective_at_ms
    while True:
        query = select(func.min(effective)).where(effective >= from_ms, effective < until_ms)
        first_ms = connection.scalar(query)
        if first_ms is None:
            return
        from_ms = min(first_ms + SLICE_MS, until_ms)
        yield first_ms, from_ms
        connection.rollback()  # nothing is held while the next hour is counted


def _transactions(connection: Connection, begin_ms: int, end_ms: int) -> int:
    effective = ledger_transactions.c.effective_at_ms
    query = select(func.count()).where(effective >= begin_ms, effective < end_ms)
    return connection.scalar(query) or 0


def _summed(connection: Connection, begin_ms: int, end_ms: int) -> Iterator[tuple[str, str, int]]:
    """What an hour added, by currency and kind. The few ledger accounts are looked up afterwards: a join
    that begins with them would read all that was ever posted to them."""
    t, p, a = ledger_transactions.c, postings.c, ledger_accounts.c
    added = connection.execute(
        select(p.ledger_account_id, func.sum(p.amount_minor).label("total"))
        .select_from(ledger_transactions)
        .join(postings, p.transaction_id == t.id)
        .where(t.effective_at_ms >= begin_ms, t.effective_at_ms < end_ms)
        .group_by(p.ledger_account_id)
    ).all()
    for first in range(0, len(added), ACCOUNTS_AT_ONCE):
        totals = {row.ledger_account_id: int(row.total) for row in added[first : first + ACCOUNTS_AT_ONCE]}
        query = select(a.id, a.currency, a.kind).where(a.id.in_(sorted(totals)))
        for row in connection.execute(query):
            yield row.currency, row.kind, totals[row.id]


def _close(row: Row[Any]) -> Close:
    values = dict(row._mapping)
    values["sums"] = json.loads(values["sums"]) if values["sums"] is not None else None
    return Close(**values)
