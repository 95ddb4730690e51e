"""deliveries of notices

Revision: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "notice_deliveries",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", _ascii(32), nullable=False),
        sa.Column("status", _ascii(16), nullable=False),
        sa.Column(
            "due_at_ms", sa.BigInteger(), nullable=False, comment="moved on by a lease before each attempt"
        ),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("last_error", sa.String(1000), nullable=True),
        sa.Column("delivered_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("outbox_id", "channel", name=op.f("uq_notice_deliveries_outbox_id_channel")),
        comment="one row for each notice and channel: one that fails does not repeat the others",
        **_MYSQL,
    )
    op.create_index(
        "ix_notice_deliveries_channel_status_due_at_ms",
        "notice_deliveries",
        ["channel", "status", "due_at_ms"],
    )
    op.create_index("ix_notice_deliveries_status_id", "notice_deliveries", ["status", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
