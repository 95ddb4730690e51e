"""Bring the schema up to date, check that it is, and write new steps: Alembic, run from the code."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from payouts.storage.revisions import SCRIPTS, SchemaError, all_revisions, current, newest
from payouts.storage.schema import metadata

_LOCK = "payouts.migrations"
_LOCK_WAIT_S = 120


def upgrade(engine: Engine) -> str:
    """Upgrade to the newest revision and return its name. Containers that start together take turns."""
    with engine.connect() as connection, _turn(connection):
        config = _config(connection=connection)
        command.upgrade(config, "head")
        connection.commit()
    return newest()


def upgrade_sql(dialect: str) -> str:
    """The whole way up as SQL for `dialect` (mysql, mariadb), for databases without direct DDL.

    Raises SchemaError for sqlite, whose tables are copied on the way: that takes the database itself.
    """
    if dialect == "sqlite":
        raise SchemaError(
            "there is no SQL to print for SQLite: `payouts db upgrade` upgrades the file itself"
        )
    out = io.StringIO()
    config = _config(dialect=dialect, output=out)
    command.upgrade(config, "head", sql=True)
    return out.getvalue()


def statements_of(revision: str, scripts: Path = SCRIPTS) -> list[str]:
    """What one migration does, as MySQL's statements, without comments."""
    at = all_revisions(scripts).index(revision)
    before = all_revisions(scripts)[at - 1] if at else "base"
    out = io.StringIO()
    config = _config(dialect="mysql", output=out)
    config.set_main_option("script_location", str(scripts))
    command.upgrade(config, f"{before}:{revision}", sql=True)
    plain = "\n".join(line for line in out.getvalue().splitlines() if not line.startswith("--"))
    return [part.strip() for part in re.split(r";\s*(?:\n|$)", plain) if part.strip()]


def check(engine: Engine) -> list[str]:
    """How the database differs from the tables in the code, a line each; empty when it does not."""
    at = current(engine)
    lines = (
        [] if at == newest() else [f"the database is at revision {at or 'none'}, the newest is {newest()}"]
    )
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": compare_type})
        lines += [
            f"differs from the code: {_plain(difference)}"
            for difference in compare_metadata(context, metadata)
        ]
    return lines


def revision(engine: Engine, message: str) -> str:
    """Write a new migration from what the code has and the database lacks; returns its path."""
    with engine.connect() as connection:
        script = command.revision(_config(connection=connection), message=message, autogenerate=True)
    if isinstance(script, list):
        script = script[0]
    return str(script.path) if script else ""


def compare_type(
    context: Any, inspected_column: Any, metadata_column: Any, inspected_type: Any, metadata_type: Any
) -> bool | None:
    """Leave out differences of name that are none of meaning: SQLite has one integer type."""
    if context.dialect.name == "sqlite":
        return False
    return None


def _config(**attributes: Any) -> Config:
    config = Config(output_buffer=attributes.pop("output", None)) if "output" in attributes else Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes.update(attributes)
    return config


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        # BEGIN IMMEDIATE, which the one transaction of an upgrade starts with, already lets one in at a time.
        yield
        return
    got = connection.execute(
        text("SELECT GET_LOCK(:name, :wait)"), {"name": _LOCK, "wait": _LOCK_WAIT_S}
    ).scalar()
    connection.commit()
    if got != 1:
        raise SchemaError(f"another upgrade held the lock for {_LOCK_WAIT_S} s; try again when it is done")
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
        connection.commit()


def _plain(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_plain(part) for part in difference)
    return " ".join(str(getattr(part, "name", part)) for part in difference if part is not None)[:200]
