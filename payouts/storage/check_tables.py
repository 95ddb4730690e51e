"""The tables of what the worker that checks the books found last: each invariant, and the platform's sums."""

from sqlalchemy import BigInteger, Column, Integer, String, Table, UniqueConstraint

from payouts.storage.columns import ACCOUNT_CHARS, OPTIONS, ROW_ID, ascii_text, metadata

FIRST_CHARS = 1000

ledger_checks = Table(
    "ledger_checks",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("name", ascii_text(64), nullable=False),
    Column("checked_at_ms", BigInteger, nullable=False),
    Column("held_at_ms", BigInteger, comment="when it last held; NULL: never while it was checked"),
    Column("violations", Integer, nullable=False, comment="how many were found, up to a limit"),
    Column("first_text", String(FIRST_CHARS), comment="the first of them"),
    UniqueConstraint("account", "name"),
    comment="one row for each invariant: what its last check found",
    **OPTIONS,
)

ledger_sums = Table(
    "ledger_sums",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("currency", ascii_text(3), nullable=False),
    Column("kind", ascii_text(16), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("counted_at_ms", BigInteger, nullable=False),
    UniqueConstraint("account", "currency", "kind"),
    comment="what each kind of ledger account held in all when it was last counted",
    **OPTIONS,
)
