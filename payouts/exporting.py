"""The journal and statements as CSV: columns that stay, ISO times, amounts exact and as people read them."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from sqlalchemy import Connection

from payouts.clock import iso
from payouts.money import decimal_text
from payouts.request import public_id
from payouts.statement import Statement
from payouts.storage import ledger_queries

JOURNAL_COLUMNS = (
    *("transaction", "posted_at", "effective_at", "kind", "reference", "partner", "account", "request"),
    *("payout", "currency", "ledger_account", "amount_minor", "amount", "description", "actor"),
)
STATEMENT_COLUMNS = (
    *("effective_at", "kind", "reference", "description", "currency", "amount_minor", "amount"),
    *("balance_minor", "balance", "unsettled_minor"),
)
OPENING, CLOSING, UNSETTLED = "opening balance", "closing balance", "unsettled"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_csv(file: TextIO, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> int:
    """Write rows as they come, after a line of column names; returns how many there were."""
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    return count


def journal_rows(
    connection: Connection, from_ms: int, until_ms: int, partner_id: int | None = None
) -> Iterator[tuple[Any, ...]]:
    """Each posting that was made from `from_ms` to before `until_ms`, oldest first, by JOURNAL_COLUMNS."""
    for row in ledger_queries.journal_between(connection, from_ms, until_ms, partner_id):
        for each in row["postings"]:
            yield (
                *(row["id"], iso(row["posted_at_ms"]), iso(row["effective_at_ms"]), row["kind"]),
                *(plain(row["reference"]), plain(row["partner"]), row["account"]),
                public_id(row["request_id"]) if row["request_id"] is not None else None,
                *(row["payout_id"], each["currency"], each["kind"], each["amount_minor"]),
                decimal_text(each["amount_minor"], each["currency"]),
                *(plain(row["description"]), plain(row["actor"])),
            )


def statement_rows(connection: Connection, made: Statement) -> Iterator[tuple[Any, ...]]:
    """A statement by STATEMENT_COLUMNS: opening balance, lines, closing balance, what is unsettled."""
    currency = made.partner.currency

    def total(at_ms: int, kind: str, balance_minor: int) -> tuple[Any, ...]:
        balance = (balance_minor, decimal_text(balance_minor, currency))
        return (iso(at_ms), kind, None, None, currency, None, None, *balance, None)

    yield total(made.from_ms, OPENING, made.opening_minor)
    for line in made.lines(connection):
        yield (
            *(iso(line.effective_at_ms), line.kind, plain(line.reference), plain(line.description), currency),
            *(line.amount_minor, decimal_text(line.amount_minor, currency)),
            *(line.balance_minor, decimal_text(line.balance_minor, currency)),
            line.unsettled_minor,
        )
    yield total(made.until_ms, CLOSING, made.closing_minor)
    yield (iso(made.until_ms), UNSETTLED, *(None,) * 2, currency, *(None,) * 4, made.unsettled_minor)


def plain(text: str | None) -> str | None:
    """`text` so that no spreadsheet takes it for a formula: with an apostrophe before it, where it could."""
    return f"'{text}" if text is not None and text.startswith(_FORMULA) else text
