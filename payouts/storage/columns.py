"""What every table is made of: the metadata, the column types that all four databases have, the options.

No foreign keys, partial indexes or RETURNING: one of MySQL 8, MariaDB 10.6, Vitess and SQLite lacks each.
Every table that grows carries the account it belongs to, so that it can be sharded by it; the platform's own
rows carry `platform`. Times are milliseconds since the epoch in UTC (`_ms`) or Stripe's seconds (`_s`).
Amounts are whole minor units. Ids that differ only in case must not meet, so their columns compare byte by
byte.
"""

from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from payouts.storage.widths import (
    ACCOUNT_CHARS,
    ACTOR_CHARS,
    API_VERSION_CHARS,
    ID_CHARS,
    PLATFORM,
    TYPE_CHARS,
)

__all__ = [
    "ACCOUNT_CHARS",
    "ACTOR_CHARS",
    "API_VERSION_CHARS",
    "ID_CHARS",
    "OPTIONS",
    "PAYLOAD",
    "PLATFORM",
    "ROW_ID",
    "TYPE_CHARS",
    "ascii_text",
    "long_text",
    "metadata",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
OPTIONS: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}
"""Given to every table: how MySQL and MariaDB keep it."""


def ascii_text(length: int) -> TypeEngine[str]:
    """Keys and codes: plain characters, compared byte by byte."""
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return String(length).with_variant(wide, "mysql", "mariadb")


def long_text() -> TypeEngine[str]:
    """Text of up to 16 MB."""
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


PAYLOAD: TypeEngine[bytes] = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
ROW_ID: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")
