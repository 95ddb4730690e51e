"""first tables

Revision: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_PAYLOAD = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("event_id", _ascii(255), nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("type", _ascii(128), nullable=False),
        sa.Column("kind", _ascii(16), nullable=False, comment="snapshot or thin"),
        sa.Column("object_id", _ascii(255), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("api_version", _ascii(64), nullable=True),
        sa.Column(
            "created_s",
            sa.BigInteger(),
            nullable=True,
            comment="Stripe's own time; never used to order events",
        ),
        sa.Column("source", _ascii(16), nullable=False),
        sa.Column(
            "secret",
            _ascii(32),
            nullable=True,
            comment="which signing secret matched: its list and fingerprint",
        ),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", _ascii(16), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("resends", sa.SmallInteger(), nullable=False, comment="hints sent again by the sweeper"),
        sa.Column("processed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("last_error", sa.String(length=1000), nullable=True),
        sa.Column("payload", _PAYLOAD, nullable=False, comment="the bytes as Stripe signed them"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", name=op.f("uq_inbox_event_id")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_inbox_account_id"), "inbox", ["account", "id"], unique=False)
    op.create_index(op.f("ix_inbox_object_id_id"), "inbox", ["object_id", "id"], unique=False)
    op.create_index(op.f("ix_inbox_status_due_at_ms"), "inbox", ["status", "due_at_ms"], unique=False)
    op.create_index(op.f("ix_inbox_status_id"), "inbox", ["status", "id"], unique=False)
    op.create_index(op.f("ix_inbox_type_id"), "inbox", ["type", "id"], unique=False)
    op.create_table(
        "inbox_attempts",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("version", _ascii(32), nullable=False, comment="the version of the code that failed"),
        sa.Column("error_class", sa.String(length=255), nullable=False),
        sa.Column("error", sa.String(length=1000), nullable=False),
        sa.Column("traceback", _LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="every failed attempt at an event",
        **_MYSQL,
    )
    op.create_index(op.f("ix_inbox_attempts_inbox_id_id"), "inbox_attempts", ["inbox_id", "id"], unique=False)
    op.create_table(
        "inbox_deliveries",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("event_id", _ascii(255), nullable=False),
        sa.Column("source", _ascii(16), nullable=False),
        sa.Column("secret", _ascii(32), nullable=True),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="every delivery of an event after its first",
        **_MYSQL,
    )
    op.create_index(
        op.f("ix_inbox_deliveries_event_id_id"), "inbox_deliveries", ["event_id", "id"], unique=False
    )
    op.create_table(
        "outbox",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("name", _ascii(64), nullable=False),
        sa.Column("payout_id", sa.BigInteger(), nullable=False),
        sa.Column("dedupe_key", _ascii(128), nullable=False, comment="one row of a name for a payout"),
        sa.Column("body", _LONG_TEXT, nullable=False),
        sa.Column("status", _ascii(16), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
        comment="domain events to tell others about, written with the change they tell of",
        **_MYSQL,
    )
    op.create_index(op.f("ix_outbox_payout_id_id"), "outbox", ["payout_id", "id"], unique=False)
    op.create_index(op.f("ix_outbox_status_due_at_ms"), "outbox", ["status", "due_at_ms"], unique=False)
    op.create_table(
        "payout_transitions",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("payout_id", sa.BigInteger(), nullable=False),
        sa.Column("from_status", _ascii(16), nullable=True),
        sa.Column("to_status", _ascii(16), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=True),
        sa.Column("event_id", _ascii(255), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="append-only: every change of a payout's state, with its cause",
        **_MYSQL,
    )
    op.create_index(
        op.f("ix_payout_transitions_payout_id_id"), "payout_transitions", ["payout_id", "id"], unique=False
    )
    op.create_table(
        "payouts",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("stripe_id", _ascii(255), nullable=True),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("status", _ascii(16), nullable=True, comment="NULL: seen, its state not known yet"),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", _ascii(3), nullable=False),
        sa.Column(
            "origin", _ascii(16), nullable=False, comment="foreign: not asked for through this service"
        ),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=True),
        sa.Column("method", _ascii(64), nullable=True),
        sa.Column("destination", _ascii(255), nullable=True),
        sa.Column("arrival_date_s", sa.BigInteger(), nullable=True),
        sa.Column("created_s", sa.BigInteger(), nullable=True),
        sa.Column("balance_transaction", _ascii(255), nullable=True),
        sa.Column("failure_balance_transaction", _ascii(255), nullable=True),
        sa.Column("failure_code", _ascii(128), nullable=True),
        sa.Column("failure_message", sa.String(length=1000), nullable=True),
        sa.Column("original_payout", _ascii(255), nullable=True),
        sa.Column("reversed_by", _ascii(255), nullable=True),
        sa.Column("reconciliation_status", _ascii(64), nullable=True),
        sa.Column("trace_id", sa.String(length=255), nullable=True),
        sa.Column(
            "unknown_status",
            sa.String(length=64),
            nullable=True,
            comment="a status of Stripe's that this code does not know",
        ),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stripe_id", name=op.f("uq_payouts_stripe_id")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_payouts_account_id"), "payouts", ["account", "id"], unique=False)
    op.create_index(op.f("ix_payouts_status_id"), "payouts", ["status", "id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_payouts_status_id"), table_name="payouts")
    op.drop_index(op.f("ix_payouts_account_id"), table_name="payouts")
    op.drop_table("payouts")
    op.drop_index(op.f("ix_payout_transitions_payout_id_id"), table_name="payout_transitions")
    op.drop_table("payout_transitions")
    op.drop_index(op.f("ix_outbox_status_due_at_ms"), table_name="outbox")
    op.drop_index(op.f("ix_outbox_payout_id_id"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_inbox_deliveries_event_id_id"), table_name="inbox_deliveries")
    op.drop_table("inbox_deliveries")
    op.drop_index(op.f("ix_inbox_attempts_inbox_id_id"), table_name="inbox_attempts")
    op.drop_table("inbox_attempts")
    op.drop_index(op.f("ix_inbox_status_id"), table_name="inbox")
    op.drop_index(op.f("ix_inbox_type_id"), table_name="inbox")
    op.drop_index(op.f("ix_inbox_status_due_at_ms"), table_name="inbox")
    op.drop_index(op.f("ix_inbox_object_id_id"), table_name="inbox")
    op.drop_index(op.f("ix_inbox_account_id"), table_name="inbox")
    op.drop_table("inbox")
