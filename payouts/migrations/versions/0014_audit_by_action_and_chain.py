"""the audit log is listed by action, and by chain

Revision: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# lint: allow index: before the first release: no such table was in use


def upgrade() -> None:
    op.create_index("ix_audit_action_id", "audit", ["action", "id"])
    op.create_index("ix_audit_chain_id", "audit", ["chain", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
