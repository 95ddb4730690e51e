"""walks through Stripe's lists of events, and proofs that what came in is complete

Revision: 0008
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
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


def _big(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, comment=comment)


def _count(name: str, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, comment=comment)


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, autoincrement=False, nullable=False)


def _account() -> sa.Column[str]:
    return sa.Column("account", _ascii(64), nullable=False)


def upgrade() -> None:
    op.create_index("ix_inbox_account_created_s", "inbox", ["account", "created_s"])
    _marks()
    _walks()
    _proofs()


def _marks() -> None:
    op.create_table(
        "catch_up_marks",
        _id(),
        _account(),
        _big("walked_until_s", "the watermark, by Stripe's clock"),
        _big("walked_at_ms", "when a whole walk last began or ended"),
        _big("failed_at_ms", "when what endpoints did not take was last walked"),
        _big("proved_until_s", "a midnight: daily proofs were begun so far"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", name=op.f("uq_catch_up_marks_account")),
        comment="how far the events of each account are walked",
        **_MYSQL,
    )
    for column in ("walked_at_ms", "failed_at_ms", "proved_until_s"):
        op.create_index(f"ix_catch_up_marks_{column}", "catch_up_marks", [column])
    op.create_table(
        "catch_up_watch",
        _id(),
        _account(),
        _big("looked_at_ms", "when the scheduler last looked; 0: never"),
        _big("hurried_at_ms", "when a gap last made every account due"),
        _big("hour_s"),
        _count("hour_reads", "pages asked of Stripe in that hour"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", name=op.f("uq_catch_up_watch_account")),
        comment="one row: when it was last looked, and how much Stripe was asked",
        **_MYSQL,
    )


def _walks() -> None:
    op.create_table(
        "catch_up_walks",
        _id(),
        _account(),
        sa.Column("open_key", _ascii(16), nullable=True, comment="who goes on with it; NULL: over"),
        sa.Column("cause", _ascii(16), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("recipe", _ascii(8), nullable=False),
        sa.Column("all_types", sa.Boolean(), nullable=False),
        _big("since_s", "by Stripe's clock, both included"),
        _big("until_s"),
        sa.Column("cut", sa.Boolean(), nullable=False, comment="asked for older events than Stripe keeps"),
        sa.Column("advances", sa.Boolean(), nullable=False, comment="its end moves the watermark"),
        sa.Column("position", _ascii(255), nullable=True, comment="the last event of the last page"),
        _big("reached_s", "walked back to here"),
        *(_count("listed"), _count("known"), _count("added"), _count("unreadable")),
        _count("reads", "pages asked of Stripe"),
        _count("tries", "pages without an answer, in a row"),
        sa.Column("error", sa.String(1000), nullable=True),
        sa.Column("tally", _LONG_TEXT, nullable=True, comment="of a proof: what was counted so far, as JSON"),
        sa.Column("status", _ascii(16), nullable=False),
        _big("due_at_ms", "when the scheduler sends it again"),
        _big("began_at_ms"),
        _big("ended_at_ms", nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "open_key", name=op.f("uq_catch_up_walks_account_open_key")),
        comment="each walk through the events that Stripe lists of an account",
        **_MYSQL,
    )
    op.create_index("ix_catch_up_walks_status_due_at_ms", "catch_up_walks", ["status", "due_at_ms"])
    op.create_index("ix_catch_up_walks_account_id", "catch_up_walks", ["account", "id"])


def _proofs() -> None:
    op.create_table(
        "proofs",
        _id(),
        _account(),
        _count("number", "counts from 1 in each account"),
        _big("since_s", "by Stripe's clock, both included"),
        _big("until_s"),
        _big("made_at_ms"),
        sa.Column("actor", sa.String(128), nullable=False),
        _big("walk_id"),
        *(_count("listed"), _count("applied"), _count("ignored"), _count("open"), _count("dead")),
        *(_count("dismissed"), _count("missing"), _count("healed")),
        _count("unlisted", "in the inbox, and not listed by Stripe"),
        sa.Column(
            "details", _LONG_TEXT, nullable=False, comment="canonical JSON: reasons, ids, what was walked"
        ),
        sa.Column("previous", _ascii(64), nullable=False),
        sa.Column("digest", _ascii(64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "number", name=op.f("uq_proofs_account_number")),
        comment="what Stripe lists of a period against the inbox; append-only, one chain an account",
        **_MYSQL,
    )
    op.create_index("ix_proofs_account_id", "proofs", ["account", "id"])
    op.create_table(
        "proof_chains",
        _account(),
        _count("number"),
        sa.Column("digest", _ascii(64), nullable=False),
        sa.PrimaryKeyConstraint("account"),
        comment="the head of each account's chain of proofs",
        **_MYSQL,
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
