"""files with payloads that left the inbox

Revision: 0009
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_MYSQL: Any = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _OPTIONS.items()}


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    wide = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(wide, "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "archive_files",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("account", _ascii(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False, comment="below ARCHIVE_URL"),
        sa.Column("sha256", _ascii(64), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False, comment="the smallest inbox id in it"),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("blocks", _TEXT, nullable=False, comment="JSON: first id, offset, length, digest of each"),
        sa.PrimaryKeyConstraint("id"),
        comment="files with payloads that left the inbox",
        **_MYSQL,
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go up: restore a backup, or write a new step")
