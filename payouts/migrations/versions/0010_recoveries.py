"""recoveries after a restore, and which database this is

Revision: 0010
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def _big(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "recoveries",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("open_key", _ascii(16), nullable=True, comment="NULL: over"),
        _big("began_at_ms"),
        sa.Column("began_by", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        _big("gap_from_ms", "rows from then on may be lost"),
        _big("covers_id", "rows up to this id may be lost"),
        sa.Column("run_by", sa.String(128), nullable=True, comment="who closes the gap"),
        sa.Column("step", _ascii(16), nullable=False),
        _big("step_began_at_ms"),
        sa.Column("next_account", _ascii(64), nullable=False),
        _big("partner_id", "the last partner that the step is through with"),
        sa.Column("position", _ascii(255), nullable=True, comment="where in the account it goes on"),
        sa.Column("steps", _TEXT, nullable=False, comment="JSON: the steps that are over, with their times"),
        sa.Column(
            *("attached", sa.Integer()),
            nullable=False,
            comment="objects of Stripe's whose lost legs were made again",
        ),
        sa.Column("unknown", sa.Integer(), nullable=False, comment="objects that no request here stands for"),
        _big("ended_at_ms", nullable=True),
        sa.Column("ended_by", sa.String(128), nullable=True),
        sa.Column("end_reason", sa.String(255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "open_key", name=op.f("uq_recoveries_account_open_key")),
        comment="while one is open nothing is sent: the database was restored, and the gap is being closed",
        **_MYSQL,
    )
    op.create_index("ix_recoveries_account_covers_id", "recoveries", ["account", "covers_id"])
    op.create_table(
        "database_identity",
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column(
            *("generation", _ascii(32)), nullable=False, comment="drawn at random, and restored with the rest"
        ),
        sa.PrimaryKeyConstraint("account"),
        comment="one row: tells this database from another one",
        **_MYSQL,
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
