"""addresses that mail came back from

Revision: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("email_bounced_at_ms", sa.BigInteger(), comment="nothing is written to the address since"),
        sa.Column("email_bounce", sa.String(255), comment="why, as it was told"),
        sa.Column("email_since_ms", sa.BigInteger(), comment="what bounced before does not count any more"),
    ):
        op.add_column("partners", column)


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
