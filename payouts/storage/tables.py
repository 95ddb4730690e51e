"""The tables, as they are on MySQL 8, MariaDB 10.6, Vitess and SQLite alike.

No foreign keys, partial indexes or RETURNING: one of the four lacks each. Every table that grows carries
the account it belongs to, so that it can be sharded by it; the platform's own rows carry `platform`.
Times are milliseconds since the epoch in UTC (`_ms`) or Stripe's seconds (`_s`). Amounts are whole minor
units. Stripe's ids differ only in case at times, so their columns compare byte by byte.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

PLATFORM = "platform"
"""The `account` of what belongs to the platform itself, never NULL."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return String(length).with_variant(wide, "mysql", "mariadb")


def _long_text() -> TypeEngine[str]:
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


_payload: TypeEngine[bytes] = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
_id: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")

ID_CHARS = 255
ACCOUNT_CHARS = 64
TYPE_CHARS = 128
API_VERSION_CHARS = 64

inbox = Table(
    "inbox",
    metadata,
    Column("id", _id, primary_key=True, autoincrement=False),
    Column("event_id", _ascii(ID_CHARS), nullable=False),
    Column("account", _ascii(ACCOUNT_CHARS), nullable=False),
    Column("type", _ascii(TYPE_CHARS), nullable=False),
    Column("kind", _ascii(16), nullable=False, comment="snapshot or thin"),
    Column("object_id", _ascii(ID_CHARS)),
    Column("livemode", Boolean, nullable=False),
    Column("api_version", _ascii(API_VERSION_CHARS)),
    Column("created_s", BigInteger, comment="Stripe's own time; never used to order events"),
    Column("source", _ascii(16), nullable=False),
    Column("secret", _ascii(32), comment="which signing secret matched: its list and fingerprint"),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("status", _ascii(16), nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("resends", SmallInteger, nullable=False, comment="hints sent again by the sweeper"),
    Column("processed_at_ms", BigInteger),
    Column("reason", String(255)),
    Column("last_error", String(1000)),
    Column("payload", _payload, nullable=False, comment="the bytes as Stripe signed them"),
    UniqueConstraint("event_id"),
    # The sweeper's question, then those of operators, each in the order of its list.
    Index(None, "status", "due_at_ms"),
    Index(None, "status", "id"),
    Index(None, "account", "id"),
    Index(None, "type", "id"),
    Index(None, "object_id", "id"),
    **_MYSQL,
)

inbox_deliveries = Table(
    "inbox_deliveries",
    metadata,
    Column("id", _id, primary_key=True, autoincrement=False),
    Column("account", _ascii(ACCOUNT_CHARS), nullable=False),
    Column("event_id", _ascii(ID_CHARS), nullable=False),
    Column("source", _ascii(16), nullable=False),
    Column("secret", _ascii(32)),
    Column("received_at_ms", BigInteger, nullable=False),
    Index(None, "event_id", "id"),
    comment="every delivery of an event after its first",
    **_MYSQL,
)

inbox_attempts = Table(
    "inbox_attempts",
    metadata,
    Column("id", _id, primary_key=True, autoincrement=False),
    Column("account", _ascii(ACCOUNT_CHARS), nullable=False),
    Column("inbox_id", BigInteger, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("worker", String(128), nullable=False),
    Column("version", _ascii(32), nullable=False, comment="the version of the code that failed"),
    Column("error_class", String(255), nullable=False),
    Column("error", String(1000), nullable=False),
    Column("traceback", _long_text(), nullable=False),
    Index(None, "inbox_id", "id"),
    comment="every failed attempt at an event",
    **_MYSQL,
)

payouts = Table(
    "payouts",
    metadata,
    Column("id", _id, primary_key=True, autoincrement=False),
    Column("stripe_id", _ascii(ID_CHARS)),
    Column("account", _ascii(ACCOUNT_CHARS), nullable=False),
    Column("status", _ascii(16), comment="NULL: seen, its state not known yet"),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", _ascii(3), nullable=False),
    Column("origin", _ascii(16), nullable=False, comment="foreign: not asked for through this service"),
    Column("livemode", Boolean, nullable=False),
    Column("automatic", Boolean),
    Column("method", _ascii(64)),
    Column("destination", _ascii(ID_CHARS)),
    Column("arrival_date_s", BigInteger),
    Column("created_s", BigInteger),
    Column("balance_transaction", _ascii(ID_CHARS)),
    Column("failure_balance_transaction", _ascii(ID_CHARS)),
    Column("failure_code", _ascii(128)),
    Column("failure_message", String(1000)),
    Column("original_payout", _ascii(ID_CHARS)),
    Column("reversed_by", _ascii(ID_CHARS)),
    Column("reconciliation_status", _ascii(64)),
    Column("trace_id", String(255)),
    Column("unknown_status", String(64), comment="a status of Stripe's that this code does not know"),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    UniqueConstraint("stripe_id"),
    Index(None, "account", "id"),
    Index(None, "status", "id"),
    **_MYSQL,
)

payout_transitions = Table(
    "payout_transitions",
    metadata,
    Column("id", _id, primary_key=True, autoincrement=False),
    Column("account", _ascii(ACCOUNT_CHARS), nullable=False),
    Column("payout_id", BigInteger, nullable=False),
    Column("from_status", _ascii(16)),
    Column("to_status", _ascii(16), nullable=False),
    Column("inbox_id", BigInteger),
    Column("event_id", _ascii(ID_CHARS)),
    Column("reason", String(255), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index(None, "payout_id", "id"),
    comment="append-only: every change of a payout's state, with its cause",
    **_MYSQL,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _id, primary_key=True, autoincrement=False),
    Column("account", _ascii(ACCOUNT_CHARS), nullable=False),
    Column("name", _ascii(64), nullable=False),
    Column("payout_id", BigInteger, nullable=False),
    Column("dedupe_key", _ascii(128), nullable=False, comment="one row of a name for a payout"),
    Column("body", _long_text(), nullable=False),
    Column("status", _ascii(16), nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("dedupe_key"),
    Index(None, "status", "due_at_ms"),
    Index(None, "payout_id", "id"),
    comment="domain events to tell others about, written with the change they tell of",
    **_MYSQL,
)
