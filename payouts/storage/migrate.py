"""Bring the schema up to date, check that it is, and write new steps: Alembic, run from the code."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from payouts.errors import PayoutsError
from payouts.storage.schema import metadata

_SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"
_LOCK = "payouts.migrations"
_LOCK_WAIT_S = 120


class SchemaError(PayoutsError):
    """The database's schema is not the one this code needs."""


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


def current(engine: Engine) -> str | None:
    """The revision the database is at; None before the first upgrade."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The newest revision this code has."""
    return ScriptDirectory.from_config(_config()).get_current_head() or "none"


@dataclass(frozen=True, slots=True)
class Revisions:
    """Where the database is, and where this code wants it."""

    current: str | None
    newest: str
    is_known: bool
    """Whether this code has the database's revision. One that it has not is a newer one."""


def revisions(engine: Engine) -> Revisions:
    """Where the database is, without a lock."""
    at = current(engine.execution_options(read_only=True))
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return Revisions(at, newest(), at in known)


def require_current(engine: Engine) -> None:
    """Raise SchemaError where the database is behind this code.

    A revision that this code does not know is a newer one: migrations keep the version before running, so
    that versions can be rolled out and back.
    """
    at = revisions(engine)
    if at.current is None or (at.is_known and at.current != at.newest):
        raise SchemaError(
            f"the database is at revision {at.current or 'none'}, this code needs {at.newest}: "
            "run `payouts db upgrade`"
        )


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
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes.update(attributes)
    return config


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        # BEGIN IMMEDIATE, which every transaction here starts with, already lets one in at a time.
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
