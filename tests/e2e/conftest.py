"""Servers to break, and a stack on them."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import server_to_break
from tests.support.databases import Databases
from tests.support.servers import RedisServer, SqlServer
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def _breakable_mariadb(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[SqlServer]:
    server = server_to_break(request, Path(tempfile.mkdtemp(prefix="break-", dir=server_folder)))
    yield server
    server.stop()


@pytest.fixture
def breakable_mariadb(_breakable_mariadb: SqlServer) -> Iterator[SqlServer]:
    """A MariaDB to kill, freeze and restart. Only one test uses it at a time; each finds it up."""
    if _breakable_mariadb.process is None:
        _breakable_mariadb.start()
    yield _breakable_mariadb
    if _breakable_mariadb.process is not None:
        _breakable_mariadb.thaw()


@pytest.fixture
def breakable(
    tmp_path: Path,
    breakable_mariadb: SqlServer,
    databases_of: Callable[[SqlServer], Databases],
    own_redis: RedisServer,
) -> Iterator[Stack]:
    """The service on a MariaDB and a Redis that may be broken; nothing started yet."""
    with Stack(tmp_path, databases_of(breakable_mariadb).take(), own_redis.url) as made:
        yield made


@pytest.fixture
def sqlite_stack(tmp_path: Path, redis_server: RedisServer) -> Iterator[Stack]:
    """The service on SQLite, where the kind of database makes no difference; nothing started yet."""
    with Stack(tmp_path, f"sqlite:///{tmp_path / 'payouts.db'}", redis_server.url) as made:
        yield made


@pytest.fixture
def mariadb_stack(tmp_path: Path, mariadb_url: str, redis_server: RedisServer) -> Iterator[Stack]:
    """The service on MariaDB, where the kind of database makes the difference; nothing started yet."""
    with Stack(tmp_path, mariadb_url, redis_server.url) as made:
        yield made
