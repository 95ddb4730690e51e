"""columns that nothing reads go; requests are found by their reference alone

Nothing of this was released, so no older version is running that would still write these columns.

Revision: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# lint: allow drops: before the first release: no such table was in use
# lint: allow index: before the first release: no such table was in use


def upgrade() -> None:
    # How often and with what error a notice was tried stands in notice_deliveries, by channel.
    op.drop_column("outbox", "attempts")
    op.drop_column("outbox", "last_error")
    # Which request of a partner runs is read from the requests themselves.
    op.drop_column("partners", "sending_request_id")
    op.create_index("ix_payout_requests_reference", "payout_requests", ["reference"])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
