"""notices are listed by account

Revision: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_outbox_account_id", "outbox", ["account", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
