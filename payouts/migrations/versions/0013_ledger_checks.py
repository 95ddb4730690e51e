"""what the checks of the books found last

Revision: 0013
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
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
        "ledger_checks",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("name", _ascii(64), nullable=False),
        sa.Column("checked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "held_at_ms",
            sa.BigInteger(),
            nullable=True,
            comment="when it last held; NULL: never while it was checked",
        ),
        sa.Column("violations", sa.Integer(), nullable=False, comment="how many were found, up to a limit"),
        sa.Column("first_text", sa.String(1000), nullable=True, comment="the first of them"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "name", name="uq_ledger_checks_account_name"),
        comment="one row for each invariant: what its last check found",
        **_MYSQL,
    )
    op.create_table(
        "ledger_sums",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("currency", _ascii(3), nullable=False),
        sa.Column("kind", _ascii(16), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("counted_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "currency", "kind", name="uq_ledger_sums_account_currency_kind"),
        comment="what each kind of ledger account held in all when it was last counted",
        **_MYSQL,
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
