"""Which revision of the schema a database has, and which this code needs.

Without Alembic, whose loading would be a sixth of what the start of a worker takes.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, column, inspect, select, table

from payouts.errors import PayoutsError

SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"
_NOTED = "alembic_version"
"""Alembic's own table, of one row."""


class SchemaError(PayoutsError):
    """The database's schema is not the one this code needs."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """Where the database is, and where this code wants it."""

    current: str | None
    newest: str
    is_known: bool
    """Whether this code has the database's revision. One that it has not is a newer one."""


def all_revisions(scripts: Path = SCRIPTS) -> list[str]:
    """The revisions this code has, the oldest first. Each begins the name of its file, as `0001_…`."""
    return sorted(path.name.partition("_")[0] for path in (scripts / "versions").glob("[!_]*.py"))


def newest() -> str:
    """The newest revision this code has."""
    return all_revisions()[-1]


def current(engine: Engine) -> str | None:
    """The revision the database is at; None before the first upgrade."""
    noted = table(_NOTED, column("version_num"))
    with engine.connect() as connection:
        if not inspect(connection).has_table(_NOTED):
            return None
        found: str | None = connection.execute(select(noted.c.version_num)).scalar()
        return found


def revisions(engine: Engine) -> Revisions:
    """Where the database is, without a lock."""
    at = current(engine.execution_options(read_only=True))
    return Revisions(at, newest(), at in all_revisions())


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
