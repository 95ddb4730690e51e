"""Migrated databases, fast: each kind is migrated once, then copied, and on a server emptied and used again.

Migrating takes a second or, on a slow disk, ten; copying takes a few milliseconds.
"""

import atexit
import shutil
import tempfile
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pymysql
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.storage import migrate, revisions
from payouts.storage.engine import build_engine
from tests.support.servers import SqlServer

MOST_ROWS = 2_000
"""A table with more rows than this is not emptied: its database is thrown away."""


def bring_up_to_date(engine: Engine) -> None:
    """Migrate the database of `engine`; a SQLite file that is not there becomes a copy of a migrated one."""
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file and file != ":memory:" and not Path(file).exists():
        shutil.copy(_sqlite_template(), file)
    elif revisions.current(engine) != _newest():
        migrate.upgrade(engine)


def migrated_file(path: Path) -> str:
    """The address of a migrated SQLite file, made at `path`."""
    shutil.copy(_sqlite_template(), path)
    return f"sqlite:///{path}"


@cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="payouts-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = folder / "payouts.db"
    _migrate(f"sqlite:///{made}")  # the last connection writes the log into the file
    return made


def _migrate(url: str) -> None:
    engine = build_engine(url, timeout_s=60, pool_size=1)
    migrate.upgrade(engine)
    engine.dispose()


_newest = cache(revisions.newest)


class Databases:
    """Migrated databases on one server. Who takes one finds the rows of a migration and no others in it."""

    def __init__(self, server: SqlServer) -> None:
        self._server = server
        self._connection: pymysql.Connection[pymysql.cursors.Cursor]
        self._given_back: list[str] = []

    def take(self) -> str:
        """The address of a migrated database that nobody uses."""
        # A connection for each time: the server may have been killed in between.
        with self._server.connect() as self._connection:
            return self._emptied() or self._copy()

    def _emptied(self) -> str | None:
        for url in list(self._given_back):
            if self._is_in_use(url):  # a test's process or thread is still at its end
                continue
            self._given_back.remove(url)
            if self._is_as_migrated(url) and self._empty(url):
                return url
            self._run(f"DROP DATABASE {_name(url)}")
        return None

    def give_back(self, url: str) -> None:
        """It may be emptied and taken again, once nobody is connected to it."""
        self._given_back.append(url)

    @cached_property
    def _template(self) -> str:
        url = self._server.new_database()
        _migrate(url)
        return _name(url)

    @cached_property
    def _tables(self) -> dict[str, str]:
        """The migrated tables by name, and what makes each."""
        return self._schema(self._template)

    @cached_property
    def _filled(self) -> list[str]:
        """The tables that migrations themselves write rows to."""
        return [table for table in self._tables if self._count(self._template, table)]

    def _copy(self) -> str:
        url = self._server.new_database()
        for table in self._tables:
            self._run(f"CREATE TABLE {_name(url)}.{table} LIKE {self._template}.{table}")
        self._fill(_name(url))
        return url

    def _empty(self, url: str) -> bool:
        name = _name(url)
        for table in self._tables:
            count = self._count(name, table)
            if count > MOST_ROWS:
                return False
            if count:
                self._run(f"DELETE FROM {name}.{table}")
        self._fill(name)
        return True

    def _fill(self, name: str) -> None:
        for table in self._filled:
            self._run(f"INSERT INTO {name}.{table} SELECT * FROM {self._template}.{table}")

    def _is_in_use(self, url: str) -> bool:
        return bool(self._run("SELECT 1 FROM information_schema.processlist WHERE db = %s", _name(url)))

    def _is_as_migrated(self, url: str) -> bool:
        return not self._run(f"SHOW TRIGGERS IN {_name(url)}") and self._schema(_name(url)) == self._tables

    def _schema(self, name: str) -> dict[str, str]:
        tables = [row[0] for row in self._run(f"SHOW TABLES IN {name}")]
        return {table: self._run(f"SHOW CREATE TABLE {name}.{table}")[0][1] for table in tables}

    def _count(self, name: str, table: str) -> int:
        """How many rows, up to one more than MOST_ROWS."""
        [(count,)] = self._run(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {name}.{table} LIMIT {MOST_ROWS + 1}) AS found"
        )
        return int(count)

    def _run(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())


def _name(url: str) -> str:
    return str(sa.make_url(url).database)
