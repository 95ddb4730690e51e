"""failed events by their type: a rare one is found among many

Revision: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_inbox_failures_type_id", "inbox_failures", ["type", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
