"""partners, ledger, requests, people

Revision: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# lint: allow index: before the first release: no such table was in use
# lint: allow retypes: before the first release: no such table was in use

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def upgrade() -> None:
    _partners_and_ledger()
    _requests()
    _brakes()
    _people()
    with op.batch_alter_table("payouts") as payouts:
        payouts.add_column(
            sa.Column(
                "request_id", sa.BigInteger(), nullable=True, comment="the request it pays out; NULL: foreign"
            )
        )
        payouts.create_index("ix_payouts_request_id_id", ["request_id", "id"])
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column(
            "payout_id", existing_type=sa.BigInteger(), existing_nullable=False, nullable=True
        )
        outbox.alter_column(
            "dedupe_key",
            existing_type=_ascii(128),
            existing_nullable=False,
            existing_comment="one row of a name for a payout",
            comment="one row of a name for a subject",
        )
        outbox.add_column(sa.Column("request_id", sa.BigInteger(), nullable=True))
        outbox.add_column(sa.Column("delivered_at_ms", sa.BigInteger(), nullable=True))
        outbox.add_column(sa.Column("last_error", sa.String(1000), nullable=True))
        outbox.create_index("ix_outbox_request_id_id", ["request_id", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")


def _partners_and_ledger() -> None:
    op.create_table(
        "partners",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("reference", sa.String(128), nullable=False, comment="the portal's own name for it"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("currency", _ascii(3), nullable=False),
        sa.Column("state", _ascii(16), nullable=False),
        sa.Column("state_reason", sa.String(1000), nullable=True),
        sa.Column("payouts_enabled", sa.Boolean(), nullable=True),
        sa.Column("transfers_capability", _ascii(32), nullable=True),
        sa.Column("requirements", _LONG_TEXT, nullable=True, comment="what Stripe still wants, as JSON"),
        sa.Column(
            "manual_schedule",
            sa.Boolean(),
            nullable=True,
            comment="false: Stripe pays out by itself after the transfer",
        ),
        sa.Column("bank_account", _ascii(255), nullable=True),
        sa.Column("bank_fingerprint", _ascii(64), nullable=True),
        sa.Column("bank_status", _ascii(32), nullable=True),
        sa.Column(
            "bank_label",
            sa.String(128),
            nullable=True,
            comment="what people recognise it by: bank and last four digits",
        ),
        sa.Column(
            "bank_since_ms", sa.BigInteger(), nullable=True, comment="when this bank account was seen first"
        ),
        sa.Column(
            "bank_approved", _ascii(255), nullable=True, comment="the bank account that a person approved"
        ),
        sa.Column("schedule", _ascii(16), nullable=False, comment="none, daily, weekly or monthly"),
        sa.Column(
            "schedule_day", sa.SmallInteger(), nullable=True, comment="weekly: 0 is Monday; monthly: 1 to 31"
        ),
        sa.Column("schedule_minimum_minor", sa.BigInteger(), nullable=True),
        sa.Column(
            "sending_request_id", sa.BigInteger(), nullable=True, comment="the one request that runs now"
        ),
        sa.Column(
            "refreshed_at_ms",
            sa.BigInteger(),
            nullable=True,
            comment="when Stripe was last asked about the account",
        ),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", name=op.f("uq_partners_account")),
        sa.UniqueConstraint("reference", name=op.f("uq_partners_reference")),
        **_MYSQL,
    )
    op.create_index("ix_partners_schedule_id", "partners", ["schedule", "id"])
    op.create_index("ix_partners_state_id", "partners", ["state", "id"])
    op.create_table(
        "ledger_accounts",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=False, comment="0: the platform's own"),
        sa.Column("kind", _ascii(16), nullable=False),
        sa.Column("currency", _ascii(3), nullable=False),
        sa.Column(
            "balance_minor",
            sa.BigInteger(),
            nullable=False,
            comment="a partner's only: the sum of its postings",
        ),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "account",
            "partner_id",
            "kind",
            "currency",
            name=op.f("uq_ledger_accounts_account_partner_id_kind_currency"),
        ),
        **_MYSQL,
    )
    op.create_index("ix_ledger_accounts_kind_currency", "ledger_accounts", ["kind", "currency"])
    op.create_index("ix_ledger_accounts_partner_id_kind", "ledger_accounts", ["partner_id", "kind"])
    op.create_table(
        "ledger_transactions",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", _ascii(32), nullable=False),
        sa.Column("reference", sa.String(128), nullable=False, comment="posted once: the cause's name"),
        sa.Column("request_id", sa.BigInteger(), nullable=True),
        sa.Column("payout_id", sa.BigInteger(), nullable=True),
        sa.Column("description", sa.String(255), nullable=True),
        sa.Column(
            "actor", sa.String(128), nullable=True, comment="the person or token; NULL: an event or a worker"
        ),
        sa.Column(
            "effective_at_ms", sa.BigInteger(), nullable=False, comment="when it counts, for statements"
        ),
        sa.Column("posted_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "reference", name=op.f("uq_ledger_transactions_account_reference")),
        comment="append-only",
        **_MYSQL,
    )
    op.create_index(
        "ix_ledger_transactions_effective_at_ms_id", "ledger_transactions", ["effective_at_ms", "id"]
    )
    op.create_index("ix_ledger_transactions_partner_id_id", "ledger_transactions", ["partner_id", "id"])
    op.create_index("ix_ledger_transactions_payout_id_id", "ledger_transactions", ["payout_id", "id"])
    op.create_index("ix_ledger_transactions_request_id_id", "ledger_transactions", ["request_id", "id"])
    op.create_table(
        "postings",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("ledger_account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False, comment="plus: into the ledger account"),
        sa.PrimaryKeyConstraint("id"),
        comment="append-only: the postings of a transaction sum to zero",
        **_MYSQL,
    )
    op.create_index(
        "ix_postings_ledger_account_id_id_amount_minor",
        "postings",
        ["ledger_account_id", "id", "amount_minor"],
    )
    op.create_index("ix_postings_transaction_id", "postings", ["transaction_id"])


def _requests() -> None:
    op.create_table(
        "payout_requests",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", _ascii(3), nullable=False),
        sa.Column("status", _ascii(20), nullable=False),
        sa.Column("blocked", _ascii(32), nullable=True, comment="why it waits although it is queued"),
        sa.Column("blocked_text", sa.String(1000), nullable=True),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False, comment="a worker is at it until then"),
        sa.Column("lease", _ascii(64), nullable=True, comment="which worker, and its turn"),
        sa.Column("source", _ascii(16), nullable=False, comment="api, command, schedule or import"),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("reference", sa.String(128), nullable=True, comment="the portal's own name for it"),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("statement_descriptor", _ascii(22), nullable=True),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column(
            "sent_at_ms",
            sa.BigInteger(),
            nullable=True,
            comment="when its first call to Stripe was written down",
        ),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "reference", name=op.f("uq_payout_requests_account_reference")),
        **_MYSQL,
    )
    op.create_index("ix_payout_requests_batch_id_id", "payout_requests", ["batch_id", "id"])
    op.create_index("ix_payout_requests_blocked_account_id", "payout_requests", ["blocked", "account", "id"])
    op.create_index("ix_payout_requests_partner_id_status", "payout_requests", ["partner_id", "status"])
    op.create_index("ix_payout_requests_partner_id_id", "payout_requests", ["partner_id", "id"])
    op.create_index("ix_payout_requests_status_due_at_ms", "payout_requests", ["status", "due_at_ms"])
    op.create_index("ix_payout_requests_status_id", "payout_requests", ["status", "id"])
    op.create_table(
        "request_transitions",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("from_status", _ascii(20), nullable=True),
        sa.Column("to_status", _ascii(20), nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("actor", sa.String(128), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="append-only: every change of a request's state, with its cause",
        **_MYSQL,
    )
    op.create_index("ix_request_transitions_request_id_id", "request_transitions", ["request_id", "id"])
    op.create_table(
        "legs",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", _ascii(16), nullable=False, comment="transfer, payout or reversal"),
        sa.Column("status", _ascii(16), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", _ascii(3), nullable=False),
        sa.Column("stripe_id", _ascii(255), nullable=True, comment="tr_…, po_… or trr_… once it is known"),
        sa.Column(
            "reversed_minor", sa.BigInteger(), nullable=False, comment="of a transfer: how much came back"
        ),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "stripe_id", name=op.f("uq_legs_account_stripe_id")),
        comment="a step of a request at Stripe",
        **_MYSQL,
    )
    op.create_index("ix_legs_kind_status_id", "legs", ["kind", "status", "id"])
    op.create_index("ix_legs_stripe_id", "legs", ["stripe_id"])
    op.create_index("ix_legs_request_id_id", "legs", ["request_id", "id"])
    op.create_table(
        "leg_attempts",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("leg_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("idempotency_key", _ascii(255), nullable=False),
        sa.Column(
            "stripe_account", _ascii(64), nullable=True, comment="whom the call acts as; NULL: the platform"
        ),
        sa.Column("call", _ascii(32), nullable=False, comment="which call of Stripe's API"),
        sa.Column("body", _LONG_TEXT, nullable=False, comment="the frozen request, as JSON"),
        sa.Column("status", _ascii(16), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False, comment="how often the call was made"),
        sa.Column("first_sent_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_sent_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("http_status", sa.SmallInteger(), nullable=True),
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("error", sa.String(1000), nullable=True),
        sa.Column("stripe_request_id", _ascii(255), nullable=True),
        sa.Column("worker", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "account", "idempotency_key", name=op.f("uq_leg_attempts_account_idempotency_key")
        ),
        comment="one idempotency key and one frozen request each",
        **_MYSQL,
    )
    op.create_index("ix_leg_attempts_leg_id_id", "leg_attempts", ["leg_id", "id"])
    op.create_index("ix_leg_attempts_request_id_id", "leg_attempts", ["request_id", "id"])
    op.create_index("ix_leg_attempts_status_first_sent_at_ms", "leg_attempts", ["status", "first_sent_at_ms"])


def _brakes() -> None:
    op.create_table(
        "holds",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("kind", _ascii(16), nullable=False, comment="kill_switch, velocity or manual"),
        sa.Column("scope", _ascii(16), nullable=False, comment="all, currency, partner or request"),
        sa.Column("scope_key", _ascii(64), nullable=False, comment="empty for all"),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("placed_by", sa.String(128), nullable=False),
        sa.Column("placed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("released_by", sa.String(128), nullable=True),
        sa.Column("released_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("release_reason", sa.String(255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        comment="while one is active, what it covers is not sent",
        **_MYSQL,
    )
    op.create_index("ix_holds_active_id", "holds", ["active", "id"])
    op.create_index("ix_holds_scope_scope_key_id", "holds", ["scope", "scope_key", "id"])
    op.create_table(
        "limits",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("kind", _ascii(20), nullable=False),
        sa.Column("scope", _ascii(16), nullable=False, comment="all or partner"),
        sa.Column("scope_key", _ascii(64), nullable=False),
        sa.Column("currency", _ascii(3), nullable=False, comment="empty: of whatever currency"),
        sa.Column("value", sa.BigInteger(), nullable=False, comment="minor units, or a number of payouts"),
        sa.Column("window_s", sa.Integer(), nullable=False, comment="0 where the kind has no window"),
        sa.Column("set_by", sa.String(128), nullable=False),
        sa.Column("set_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "account",
            "kind",
            "scope",
            "scope_key",
            "currency",
            name=op.f("uq_limits_account_kind_scope_scope_key_currency"),
        ),
        **_MYSQL,
    )
    op.create_table(
        "approvals",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("subject", _ascii(16), nullable=False, comment="request or bank_account"),
        sa.Column("subject_id", _ascii(255), nullable=False),
        sa.Column("decision", _ascii(16), nullable=False, comment="approved or rejected"),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(255), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="append-only",
        **_MYSQL,
    )
    op.create_index("ix_approvals_subject_subject_id_id", "approvals", ["subject", "subject_id", "id"])
    op.create_table(
        "outflow",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False, comment="minutes since the epoch"),
        sa.Column("currency", _ascii(3), nullable=False),
        sa.Column("worker", _ascii(64), nullable=False, comment="each has a row of its own: none waits"),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("payouts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "account", "minute", "currency", "worker", name=op.f("uq_outflow_account_minute_currency_worker")
        ),
        comment="how much was sent in each minute, for velocity limits",
        **_MYSQL,
    )
    op.create_table(
        "payout_batches",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("schedule", _ascii(16), nullable=False),
        sa.Column("planned_for", _ascii(10), nullable=False, comment="the day, as 2026-11-30"),
        sa.Column("status", _ascii(16), nullable=False),
        sa.Column("partners", sa.Integer(), nullable=False),
        sa.Column("requested", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("amounts", _LONG_TEXT, nullable=False, comment="by currency, as JSON"),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "account", "schedule", "planned_for", name=op.f("uq_payout_batches_account_schedule_planned_for")
        ),
        comment="one run of a schedule",
        **_MYSQL,
    )


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", _ascii(16), nullable=False, comment="viewer, operator, approver or admin"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name=op.f("uq_people_name")),
        **_MYSQL,
    )
    op.create_table(
        "tokens",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False, comment="what the token is for"),
        sa.Column(
            "person_id",
            sa.BigInteger(),
            nullable=True,
            comment="NULL: a program's own token, as the portal's",
        ),
        sa.Column("digest", _ascii(64), nullable=False, comment="SHA-256 of the token, in hex"),
        sa.Column("scopes", _ascii(255), nullable=False, comment="separated by spaces"),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        **_MYSQL,
    )
    op.create_index("ix_tokens_person_id_id", "tokens", ["person_id", "id"])
    op.create_table(
        "audit_chains",
        sa.Column("chain", _ascii(96), nullable=False, comment="account and month, as acct_…/2026-11"),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="of its last entry"),
        sa.Column("digest", _ascii(64), nullable=False, comment="of its last entry"),
        sa.PrimaryKeyConstraint("chain"),
        comment="the end of each chain, locked while an entry is added",
        **_MYSQL,
    )
    op.create_table(
        "audit",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("chain", _ascii(96), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", _ascii(64), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("reason", sa.String(255), nullable=True),
        sa.Column("details", _LONG_TEXT, nullable=False, comment="JSON with sorted keys"),
        sa.Column("previous", _ascii(64), nullable=False, comment="the digest of the entry before"),
        sa.Column("digest", _ascii(64), nullable=False, comment="SHA-256 over this entry and `previous`"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("chain", "number", name=op.f("uq_audit_chain_number")),
        comment="append-only: what people and tokens did",
        **_MYSQL,
    )
    op.create_index("ix_audit_account_id", "audit", ["account", "id"])
    op.create_index("ix_audit_actor_id", "audit", ["actor", "id"])
    op.create_index("ix_audit_subject_id", "audit", ["subject", "id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("key", _ascii(255), nullable=False),
        sa.Column("digest", _ascii(64), nullable=False, comment="of method, path and body"),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", _LONG_TEXT, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_id", "key", name=op.f("uq_idempotency_keys_token_id_key")),
        comment="answers to the portal's requests, given again to a repeated one",
        **_MYSQL,
    )
    op.create_index("ix_idempotency_keys_created_at_ms", "idempotency_keys", ["created_at_ms"])
