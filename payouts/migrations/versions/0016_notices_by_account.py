"""notices are listed by account

Revision: 0016
"""

from payouts.migrations.online import create_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_outbox_account_id", "outbox", ["account", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
