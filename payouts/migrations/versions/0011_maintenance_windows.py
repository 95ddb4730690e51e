"""maintenance windows

Revision: 0011
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def _big(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "maintenance_windows",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("open_key", _ascii(16), nullable=True, comment="NULL: over"),
        _big("starts_at_ms", "as announced"),
        _big("ends_at_ms", "as announced"),
        sa.Column("text", sa.String(500), nullable=False, comment="what people are told"),
        _big("announced_at_ms"),
        sa.Column("announced_by", sa.String(128), nullable=False),
        _big("started_at_ms", nullable=True),
        sa.Column("started_by", sa.String(128), nullable=True),
        sa.Column("start_reason", sa.String(255), nullable=True),
        _big("over_at_ms", "ended or, where it never started, called off", nullable=True),
        sa.Column("over_by", sa.String(128), nullable=True),
        sa.Column("over_reason", sa.String(255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "open_key", name=op.f("uq_maintenance_windows_account_open_key")),
        comment="while one is started nothing is sent, and the API says so; at most one is not over",
        **_MYSQL,
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
