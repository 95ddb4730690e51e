"""The table of deliveries: how far each notice of the outbox has come by each of its channels."""

from sqlalchemy import BigInteger, Column, Index, SmallInteger, String, Table, UniqueConstraint

from payouts.storage.columns import ACCOUNT_CHARS, OPTIONS, ROW_ID, ascii_text, metadata

ERROR_CHARS = 1000

notice_deliveries = Table(
    "notice_deliveries",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("outbox_id", BigInteger, nullable=False),
    Column("channel", ascii_text(32), nullable=False),
    Column("status", ascii_text(16), nullable=False),
    Column("due_at_ms", BigInteger, nullable=False, comment="moved on by a lease before each attempt"),
    Column("attempts", SmallInteger, nullable=False),
    Column("last_error", String(ERROR_CHARS)),
    Column("delivered_at_ms", BigInteger),
    UniqueConstraint("outbox_id", "channel"),
    Index(None, "channel", "status", "due_at_ms"),
    Index(None, "status", "id"),
    comment="one row for each notice and channel: one that fails does not repeat the others",
    **OPTIONS,
)
