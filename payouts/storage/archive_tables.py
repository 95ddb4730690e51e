"""The table of archive files: where payloads are that left the inbox."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table

from payouts.storage.columns import ACCOUNT_CHARS, OPTIONS, ROW_ID, ascii_text, long_text, metadata

archive_files = Table(
    "archive_files",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("name", String(255), nullable=False, comment="below ARCHIVE_URL"),
    Column("sha256", ascii_text(64), nullable=False),
    Column("events", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("first_id", BigInteger, nullable=False, comment="the smallest inbox id in it"),
    Column("last_id", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("blocks", long_text(), nullable=False, comment="JSON: first id, offset, length, digest of each"),
    comment="files with payloads that left the inbox",
    **OPTIONS,
)
