"""failures by their cause, replays

Revision: 0007
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# lint: allow index: before the first release: no such table was in use

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def _long_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column(
        "inbox_attempts",
        sa.Column(
            "fingerprint",
            _ascii(16),
            nullable=True,
            comment="of its cause; NULL: failed before these were kept",
        ),
    )
    op.create_index("ix_inbox_attempts_fingerprint_id", "inbox_attempts", ["fingerprint", "id"])
    op.create_table(
        "inbox_failures",
        sa.Column("id", _ID, autoincrement=False, nullable=False, comment="the row id of the event"),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("event_id", _ascii(255), nullable=False),
        sa.Column("type", _ascii(128), nullable=False),
        sa.Column("object_id", _ascii(255), nullable=True),
        sa.Column(
            "status", _ascii(16), nullable=False, comment="retrying, dead or dismissed: as in the inbox"
        ),
        sa.Column("fingerprint", _ascii(16), nullable=False, comment="of the last error"),
        sa.Column("error", sa.String(1000), nullable=False),
        sa.Column("first_failed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("failed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("dismissed_by", sa.String(128), nullable=True),
        sa.Column("dismissed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(255), nullable=True, comment="why it was dismissed"),
        sa.PrimaryKeyConstraint("id"),
        comment="events whose last attempt failed; the row goes once the event is through",
        **_MYSQL,
    )
    for columns in (
        ["fingerprint", "status", "type", "account"],
        ["status", "id"],
        ["status", "failed_at_ms"],
        ["account", "id"],
        ["type", "id"],
        ["object_id", "id"],
    ):
        op.create_index(f"ix_inbox_failures_{'_'.join(columns)}", "inbox_failures", columns)
    op.create_table(
        "failure_groups",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False, comment="platform: groups span accounts"),
        sa.Column("fingerprint", _ascii(16), nullable=False),
        sa.Column("error_class", sa.String(255), nullable=False),
        sa.Column("place", sa.String(255), nullable=False, comment="module and function"),
        sa.Column("message", sa.String(500), nullable=False, comment="without what differs by event"),
        sa.Column("example", sa.String(1000), nullable=False, comment="the first error in full"),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("first_version", _ascii(32), nullable=False),
        sa.Column(
            "told_size", sa.BigInteger(), nullable=False, comment="how many dead ones were told of; 0: none"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "fingerprint", name=op.f("uq_failure_groups_account_fingerprint")),
        comment="one row for each cause of failures that was ever seen",
        **_MYSQL,
    )
    _replays()
    # Events that died before groups were kept belong to one group of their own.
    op.execute(
        "INSERT INTO inbox_failures (id, account, event_id, type, object_id, status, fingerprint, error,"
        " first_failed_at_ms, failed_at_ms)"
        " SELECT id, account, event_id, type, object_id, status, 'before', COALESCE(last_error, ''),"
        " COALESCE(processed_at_ms, received_at_ms), COALESCE(processed_at_ms, received_at_ms)"
        " FROM inbox WHERE status IN ('dead', 'retrying')"
    )
    op.execute(
        "INSERT INTO failure_groups (id, account, fingerprint, error_class, place, message, example,"
        " first_seen_ms, first_version, told_size)"
        " SELECT 1, 'platform', 'before', '-', '-', 'failed before causes were told apart', '', 0, '-', 0"
        " FROM inbox_failures LIMIT 1"
    )


def _replays() -> None:
    op.create_table(
        "replays",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("status", _ascii(24), nullable=False),
        sa.Column("selection", _long_text(), nullable=False, comment="which events, as JSON"),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("requested_by_person", sa.BigInteger(), nullable=True),
        sa.Column("version", _ascii(32), nullable=False, comment="of the code it was asked for with"),
        sa.Column(
            "rate_per_s", sa.Integer(), nullable=False, comment="events a second at the most; 0: no limit"
        ),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="the last inbox id that was selected"),
        sa.Column("until_id", sa.BigInteger(), nullable=False, comment="later events are live ones"),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False, comment="blocked, or tried again later"),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", sa.String(128), nullable=True),
        sa.Column("confirmed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(128), nullable=True, comment="who canceled it"),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("lease", _ascii(24), nullable=True, comment="the worker that is at it"),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("trouble", sa.String(255), nullable=True, comment="why it stands still"),
        sa.Column("deaths", sa.Integer(), nullable=False, comment="workers that died over it"),
        sa.PrimaryKeyConstraint("id"),
        **_MYSQL,
    )
    op.create_index("ix_replays_status_id", "replays", ["status", "id"])
    op.create_table(
        "replay_items",
        sa.Column("replay_id", sa.BigInteger(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("event_id", _ascii(255), nullable=False),
        sa.Column("status_before", _ascii(16), nullable=False),
        sa.Column("outcome", _ascii(16), nullable=False, comment="todo until it was its turn"),
        sa.Column("detail", sa.String(255), nullable=True),
        sa.Column("version", _ascii(32), nullable=True, comment="of the code that ran"),
        sa.Column("done_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("replay_id", "inbox_id"),
        comment="the events of each replay",
        **_MYSQL,
    )
    op.create_index(
        "ix_replay_items_replay_id_outcome_inbox_id", "replay_items", ["replay_id", "outcome", "inbox_id"]
    )
    op.create_index("ix_replay_items_inbox_id", "replay_items", ["inbox_id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
