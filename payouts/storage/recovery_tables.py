"""The tables of recovery: how far the books were brought back after a restore, and which database this is."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint

from payouts.storage.columns import (
    ACCOUNT_CHARS,
    ACTOR_CHARS,
    ID_CHARS,
    OPTIONS,
    ROW_ID,
    ascii_text,
    long_text,
    metadata,
)

recoveries = Table(
    "recoveries",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("open_key", ascii_text(16), comment="NULL: over"),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("began_by", String(ACTOR_CHARS), nullable=False),
    Column("reason", String(255), nullable=False),
    Column("gap_from_ms", BigInteger, nullable=False, comment="rows from then on may be lost"),
    Column("covers_id", BigInteger, nullable=False, comment="rows up to this id may be lost"),
    Column("run_by", String(ACTOR_CHARS), comment="who closes the gap"),
    Column("step", ascii_text(16), nullable=False),
    Column("step_began_at_ms", BigInteger, nullable=False),
    Column("next_account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column(
        "partner_id", BigInteger, nullable=False, comment="the last partner that the step is through with"
    ),
    Column("position", ascii_text(ID_CHARS), comment="where in the account it goes on"),
    Column("steps", long_text(), nullable=False, comment="JSON: the steps that are over, with their times"),
    Column(
        "attached", Integer, nullable=False, comment="objects of Stripe's whose lost legs were made again"
    ),
    Column("unknown", Integer, nullable=False, comment="objects that no request here stands for"),
    Column("ended_at_ms", BigInteger),
    Column("ended_by", String(ACTOR_CHARS)),
    Column("end_reason", String(255)),
    UniqueConstraint("account", "open_key"),
    Index(None, "account", "covers_id"),
    comment="while one is open nothing is sent: the database was restored, and the gap is being closed",
    **OPTIONS,
)

database_identity = Table(
    "database_identity",
    metadata,
    Column("account", ascii_text(ACCOUNT_CHARS), primary_key=True),
    Column(
        "generation", ascii_text(32), nullable=False, comment="drawn at random, and restored with the rest"
    ),
    comment="one row: tells this database from another one",
    **OPTIONS,
)
