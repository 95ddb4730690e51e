"""The tables of what failed: the events that stand failed now, and the groups of their causes.

Apart from the inbox, so that millions of events that went well pay for no index of these.
"""

from sqlalchemy import BigInteger, Column, Index, String, Table, UniqueConstraint

from payouts.failure_cause import CLASS_CHARS, KEY_CHARS, MESSAGE_CHARS, PLACE_CHARS
from payouts.storage.columns import (
    ACCOUNT_CHARS,
    ACTOR_CHARS,
    ID_CHARS,
    OPTIONS,
    ROW_ID,
    TYPE_CHARS,
    ascii_text,
    metadata,
)

inbox_failures = Table(
    "inbox_failures",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False, comment="the row id of the event"),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("event_id", ascii_text(ID_CHARS), nullable=False),
    Column("type", ascii_text(TYPE_CHARS), nullable=False),
    Column("object_id", ascii_text(ID_CHARS)),
    Column("status", ascii_text(16), nullable=False, comment="retrying, dead or dismissed: as in the inbox"),
    Column("fingerprint", ascii_text(KEY_CHARS), nullable=False, comment="of the last error"),
    Column("error", String(1000), nullable=False),
    Column("first_failed_at_ms", BigInteger, nullable=False),
    Column("failed_at_ms", BigInteger, nullable=False),
    Column("dismissed_by", String(ACTOR_CHARS)),
    Column("dismissed_at_ms", BigInteger),
    Column("reason", String(255), comment="why it was dismissed"),
    # Counting by group and type reads this index alone.
    Index(None, "fingerprint", "status", "type", "account"),
    Index(None, "status", "id"),
    Index(None, "status", "failed_at_ms"),
    Index(None, "account", "id"),
    Index(None, "type", "id"),
    Index(None, "object_id", "id"),
    comment="events whose last attempt failed; the row goes once the event is through",
    **OPTIONS,
)

failure_groups = Table(
    "failure_groups",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False, comment="platform: groups span accounts"),
    Column("fingerprint", ascii_text(KEY_CHARS), nullable=False),
    Column("error_class", String(CLASS_CHARS), nullable=False),
    Column("place", String(PLACE_CHARS), nullable=False, comment="module and function"),
    Column("message", String(MESSAGE_CHARS), nullable=False, comment="without what differs by event"),
    Column("example", String(1000), nullable=False, comment="the first error in full"),
    Column("first_seen_ms", BigInteger, nullable=False),
    Column("first_version", ascii_text(32), nullable=False),
    Column("told_size", BigInteger, nullable=False, comment="how many dead ones were told of; 0: none"),
    UniqueConstraint("account", "fingerprint"),
    comment="one row for each cause of failures that was ever seen",
    **OPTIONS,
)
