"""Databases that are migrated once for many tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from payouts.storage import migrate
from payouts.storage.engine import build_engine
from tests.conftest import need
from tests.support.catching_up import empty
from tests.support.servers import SqlServer


@pytest.fixture(scope="session", params=["sqlite", "mariadb"])
def _migrated_engine(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[Engine]:
    url = f"sqlite:///{server_folder / 'shared.db'}"
    if request.param == "mariadb":
        need(request, "MariaDB", SqlServer.program())
        url = request.getfixturevalue("_mariadb").new_database()
    made = build_engine(url, timeout_s=10, pool_size=10)
    migrate.upgrade(made)
    yield made
    made.dispose()


@pytest.fixture
def shared_engine(_migrated_engine: Engine) -> Engine:
    """A migrated database on SQLite and on MariaDB, without a row. Shared: the next test empties it."""
    empty(_migrated_engine)
    return _migrated_engine
