"""blocked addresses, raised rate limits, the addresses that Stripe sends from

Revision: 0015
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "address_blocks",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("open_key", _ascii(64), nullable=True, comment="the network; NULL: lifted or over"),
        sa.Column("network", _ascii(64), nullable=False),
        _big("until_ms"),
        _text("reason", 255),
        _big("blocked_at_ms"),
        _text("blocked_by", 128),
        _big("lifted_at_ms", nullable=True),
        _text("lifted_by", 128, nullable=True),
        _text("lift_reason", 255, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("open_key", name=op.f("uq_address_blocks_open_key")),
        comment="addresses and networks that are not answered",
        **_MYSQL,
    )
    op.create_table(
        "rate_raises",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("open_key", _ascii(32), nullable=True, comment="the route group; NULL: lowered or over"),
        sa.Column("route_group", _ascii(32), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False, comment="requests a minute"),
        _big("until_ms"),
        _text("reason", 255),
        _big("raised_at_ms"),
        _text("raised_by", 128),
        _big("lowered_at_ms", nullable=True),
        _text("lowered_by", 128, nullable=True),
        _text("lower_reason", 255, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("open_key", name=op.f("uq_rate_raises_open_key")),
        comment="rate limits that allow more for a while",
        **_MYSQL,
    )
    op.create_table(
        "published_addresses",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False, comment="separated by commas"),
        _big("read_at_ms"),
        sa.PrimaryKeyConstraint("id"),
        comment="the addresses that Stripe sends from, as it published them; the newest row counts",
        **_MYSQL,
    )
    op.create_index("ix_published_addresses_account_id", "published_addresses", ["account", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
