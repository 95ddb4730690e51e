"""Steps for tables in use: MySQL and MariaDB are told that none may block, and refuse one that would."""

from collections.abc import Sequence

from alembic import op


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    """An index on a table in use: reads and writes go on while it is built."""
    if op.get_context().dialect.name not in ("mysql", "mariadb"):
        op.create_index(name, table, list(columns))
        return
    op.execute(f"CREATE INDEX {name} ON {table} ({', '.join(columns)}) ALGORITHM=INPLACE LOCK=NONE")
