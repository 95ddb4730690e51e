"""what differs from Stripe, and how far it is compared

Revision: 0005
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
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
        "differences",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("kind", _ascii(32), nullable=False),
        sa.Column("subject", _ascii(255), nullable=False),
        sa.Column("currency", _ascii(3), nullable=True),
        sa.Column("ours", sa.String(255), nullable=True),
        sa.Column("theirs", sa.String(255), nullable=True),
        sa.Column("text", sa.String(1000), nullable=False),
        sa.Column("remedy", sa.String(255), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("healed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("healed_how", sa.String(255), nullable=True),
        sa.Column(
            "open_key", _ascii(300), nullable=True, comment="kind and subject while it lasts; NULL: healed"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "open_key", name=op.f("uq_differences_account_open_key")),
        **_MYSQL,
    )
    op.create_index("ix_differences_account_id", "differences", ["account", "id"])
    op.create_index("ix_differences_healed_at_ms_id", "differences", ["healed_at_ms", "id"])
    op.create_index("ix_differences_kind_healed_at_ms_id", "differences", ["kind", "healed_at_ms", "id"])
    op.create_table(
        "reconcile_progress",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("stage", _ascii(20), nullable=False),
        sa.Column(
            "position", _ascii(255), nullable=True, comment="the last object that was compared in this stage"
        ),
        sa.Column(
            "since_s",
            sa.BigInteger(),
            nullable=False,
            comment="by Stripe's clock: what was created from then on",
        ),
        sa.Column("until_s", sa.BigInteger(), nullable=False),
        sa.Column("began_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True, comment="NULL: under way, or cut short"),
        sa.Column(
            "compared_until_s", sa.BigInteger(), nullable=False, comment="everything before was compared once"
        ),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False, comment="somebody is at it until then"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", name=op.f("uq_reconcile_progress_account")),
        comment="how far each account is compared",
        **_MYSQL,
    )
    op.create_table(
        "reconcile_rounds",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("open_key", _ascii(8), nullable=True, comment="NULL: over"),
        sa.Column("began_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("moved_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("next_account", _ascii(64), nullable=False),
        sa.Column(
            "partner_id", sa.BigInteger(), nullable=False, comment="the last partner done; 0: none, or all"
        ),
        sa.Column("reads", sa.Integer(), nullable=False, comment="answers asked of Stripe"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "open_key", name=op.f("uq_reconcile_rounds_account_open_key")),
        comment="a round goes through the accounts until all are done or it has asked Stripe enough",
        **_MYSQL,
    )
    op.create_table(
        "reconcile_seen",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("stripe_id", _ascii(255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "stripe_id", name=op.f("uq_reconcile_seen_account_stripe_id")),
        comment="what Stripe listed while an account is compared; emptied when that is done",
        **_MYSQL,
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
