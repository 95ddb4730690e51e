"""months of the ledger that are closed, and the order of statements

Revision: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# lint: allow index: before the first release: no such table was in use

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "ledger_closes",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column(
            "period", _ascii(7), nullable=False, comment="the month, as 2026-11; 0000-00: a row to lock"
        ),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "until_ms", sa.BigInteger(), nullable=False, comment="nothing that counts before can be posted"
        ),
        sa.Column("transactions", sa.BigInteger(), nullable=True, comment="how many; NULL: not counted yet"),
        sa.Column(
            "sums", _LONG_TEXT, nullable=True, comment="by currency and kind of ledger account, as JSON"
        ),
        sa.Column("previous", _ascii(64), nullable=True, comment="the digest of the month before"),
        sa.Column("digest", _ascii(64), nullable=True, comment="SHA-256 over month, sums and `previous`"),
        sa.Column("closed_by", sa.String(128), nullable=False),
        sa.Column("closed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "period", name=op.f("uq_ledger_closes_account_period")),
        comment="months in which nothing more is posted",
        **_MYSQL,
    )
    op.create_index("ix_ledger_closes_until_ms_id", "ledger_closes", ["until_ms", "id"])
    op.create_index(
        "ix_ledger_transactions_partner_id_effective_at_ms_id",
        "ledger_transactions",
        ["partner_id", "effective_at_ms", "id"],
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
