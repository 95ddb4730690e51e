"""The table of maintenance windows."""

from sqlalchemy import BigInteger, Column, String, Table, UniqueConstraint

from payouts.storage.columns import ACCOUNT_CHARS, ACTOR_CHARS, OPTIONS, ROW_ID, ascii_text, metadata
from payouts.window import TEXT_CHARS

maintenance_windows = Table(
    "maintenance_windows",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("open_key", ascii_text(16), comment="NULL: over"),
    Column("starts_at_ms", BigInteger, nullable=False, comment="as announced"),
    Column("ends_at_ms", BigInteger, nullable=False, comment="as announced"),
    Column("text", String(TEXT_CHARS), nullable=False, comment="what people are told"),
    Column("announced_at_ms", BigInteger, nullable=False),
    Column("announced_by", String(ACTOR_CHARS), nullable=False),
    Column("started_at_ms", BigInteger),
    Column("started_by", String(ACTOR_CHARS)),
    Column("start_reason", String(255)),
    Column("over_at_ms", BigInteger, comment="ended or, where it never started, called off"),
    Column("over_by", String(ACTOR_CHARS)),
    Column("over_reason", String(255)),
    UniqueConstraint("account", "open_key"),
    comment="while one is started nothing is sent, and the API says so; at most one is not over",
    **OPTIONS,
)
