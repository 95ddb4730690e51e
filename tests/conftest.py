"""Servers for the tests that need them. Where one is not installed its tests are skipped, and the closing
line says how many and how to install it; under CI a skip for a missing server is a failure."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.databases import Databases, migrated_file
from tests.support.real_provider import RealProvider
from tests.support.servers import MySqlServer, RedisServer, Server, SqlServer
from tests.support.stack import Stack

INSTALL = {
    "MariaDB": "apt-get install mariadb-server",
    "MySQL": "PATH=$(deploy/ci/mysql):$PATH",
    "Redis": "apt-get install redis-server",
    "RabbitMQ": "apt-get install rabbitmq-server",
    "Chromium": "apt-get install chromium",
    "Prometheus": "apt-get install prometheus",
    "Alertmanager": "apt-get install prometheus-alertmanager",
    "oidc-provider": "make test-tools",
}
NOT_INSTALLED = " is not installed"
OPTIONAL = {"MySQL", "oidc-provider", "RabbitMQ"}
"""Not packaged by Debian, or large: not demanded of CI."""
NPM_TOOLS = Path(__file__).parent / "node_modules" / ".bin"
"""Where `make test-tools` puts programs; those on PATH already come first."""

MEMORY = Path("/dev/shm")  # noqa: S108 - only folders of our own are made in it
MEMORY_NEEDED = 3 * 1024**3


def pytest_configure() -> None:
    """Keep the tests' files in memory where there is room: a slow disk takes most of the time otherwise.

    Nothing is tested less: what a killed process or server wrote is there in either place.
    """
    os.environ["PATH"] += f"{os.pathsep}{NPM_TOOLS}"
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_NEEDED:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # to be found again


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Say last how many tests were left out, and why."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    why = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ") for report in reporter.getreports("skipped")
    )
    for reason, count in why.most_common():
        name = reason.removesuffix(NOT_INSTALLED)
        how = f" ({INSTALL[name]})" if name in INSTALL else ""
        reporter.write_line(f"{count} left out: {reason}{how}", yellow=True)


def server_to_break(request: pytest.FixtureRequest, folder: Path, **options: bool) -> SqlServer:
    """A MariaDB that one test or one file may kill, freeze and restart; with `TESTS_BREAK=mysql` a MySQL."""
    kind = MySqlServer if os.environ.get("TESTS_BREAK") == "mysql" else SqlServer
    need(request, "MySQL" if kind is MySqlServer else "MariaDB", kind.program())
    return kind(folder, **options)


def need(request: pytest.FixtureRequest, name: str, program: str | None) -> None:
    """Skip what needs `program` where it is not installed; fail under CI."""
    if program:
        return
    if os.environ.get("CI") and name not in OPTIONAL:
        pytest.fail(f"{name} is not installed, and CI must run its tests: {INSTALL[name]}")
    pytest.skip(f"{name}{NOT_INSTALLED}")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    # Not pytest's own: a socket's path has room for about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="payouts-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _running(server: Server) -> Iterator[Server]:
    server.folder.mkdir(parents=True, exist_ok=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _mariadb(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[Server]:
    need(request, "MariaDB", SqlServer.program())
    yield from _running(SqlServer(server_folder / "mariadb", durable=False))


@pytest.fixture(scope="session")
def _mysql(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[Server]:
    need(request, "MySQL", MySqlServer.program())
    yield from _running(MySqlServer(server_folder / "mysql", durable=False))


@pytest.fixture(scope="session")
def databases_of() -> Callable[[SqlServer], Databases]:
    """The migrated databases of a server, for fixtures; tests ask for `mariadb_url` or `database_url`."""
    return cache(Databases)


@pytest.fixture(scope="session")
def real_provider(request: pytest.FixtureRequest) -> Iterator[RealProvider]:
    """A certified OpenID provider in a process of its own, shared: everybody named in `ACCOUNTS` is known."""
    need(request, "oidc-provider", RealProvider.program())
    with RealProvider() as running:
        yield running


@pytest.fixture(scope="session")
def _redis(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[Server]:
    need(request, "Redis", RedisServer.program())
    yield from _running(RedisServer(server_folder / "redis"))


@pytest.fixture
def redis_server(request: pytest.FixtureRequest) -> RedisServer:
    """A Redis that keeps what it takes, empty. Shared: a test that breaks it uses `own_redis`."""
    need(request, "Redis", RedisServer.program())
    server: RedisServer = request.getfixturevalue("_redis")
    server.client.flushall()
    return server


@pytest.fixture
def own_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, to break."""
    need(request, "Redis", RedisServer.program())
    server = RedisServer(tmp_path / "redis")
    server.folder.mkdir()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mariadb(request: pytest.FixtureRequest) -> SqlServer:
    """The shared MariaDB. It is not durable: a test that breaks it uses `own_mariadb`."""
    need(request, "MariaDB", SqlServer.program())
    server: SqlServer = request.getfixturevalue("_mariadb")
    return server


@pytest.fixture
def own_mariadb(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[SqlServer]:
    """A MariaDB of the test's own, to break."""
    server = server_to_break(request, Path(tempfile.mkdtemp(prefix="own-", dir=server_folder)))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mariadb_url(mariadb: SqlServer, databases_of: Callable[[SqlServer], Databases]) -> Iterator[str]:
    """A migrated database on the shared MariaDB, with no row of another test in it."""
    databases = databases_of(mariadb)
    url = databases.take()
    yield url
    databases.give_back(url)


@pytest.fixture
def mysql_url(
    request: pytest.FixtureRequest, databases_of: Callable[[SqlServer], Databases]
) -> Iterator[str]:
    """The same on the shared MySQL."""
    need(request, "MySQL", MySqlServer.program())
    databases = databases_of(request.getfixturevalue("_mysql"))
    url = databases.take()
    yield url
    databases.give_back(url)


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database on each kind of server in turn, with no row of another test in it."""
    if request.param == "sqlite":
        return migrated_file(tmp_path / "payouts.db")
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a table, on each kind of server in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'payouts.db'}"
    if request.param == "mysql":
        need(request, "MySQL", MySqlServer.program())
    server: SqlServer = request.getfixturevalue("mariadb" if request.param == "mariadb" else "_mysql")
    return server.new_database()


@pytest.fixture
def stack(tmp_path: Path, database_url: str, redis_server: RedisServer) -> Iterator[Stack]:
    """The service on each kind of database, migrated, nothing started yet."""
    with Stack(tmp_path, database_url, redis_server.url) as made:
        yield made
