"""a row by which a replica shows how far it is behind

Revision: 0018
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def upgrade() -> None:
    beats = op.create_table(
        "replica_beats",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replica_beats")),
        comment="one row, written every second, by which a replica shows how far it is behind",
        **_MYSQL,
    )
    op.bulk_insert(beats, [{"id": 1, "at_ms": 0}])


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
