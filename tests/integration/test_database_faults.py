"""What a real server says when it will not serve, and that each is told as what it is."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from payouts.storage.engine import build_engine, ping
from payouts.storage.fault_log import FaultLog


@pytest.fixture(autouse=True)
def _fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payouts.storage.fault_log.FAULT_LOG", FaultLog())


@contextmanager
def opened(url: str | sa.URL) -> Iterator[Engine]:
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    engine = build_engine(text, timeout_s=5, pool_size=2)
    yield engine
    engine.dispose()


def told(work: Callable[[], object]) -> list[str]:
    with capture_logs() as lines, pytest.raises(DBAPIError):
        work()
    return [line["event"] for line in lines]


@pytest.fixture
def url(mariadb_url: str) -> sa.URL:
    return sa.make_url(mariadb_url)


def test_a_wrong_password_and_a_database_that_is_not_there(url: sa.URL) -> None:
    with opened(url.set(username="nobody", password="wrong")) as engine:
        assert told(lambda: ping(engine)) == ["database.access_denied"]
    with opened(url.set(database="not_there")) as engine:
        assert told(lambda: ping(engine)) == ["database.no_database"]


def test_too_many_connections(url: sa.URL) -> None:
    with opened(url) as root, root.begin() as connection:
        for line in (
            "CREATE OR REPLACE USER few@'%%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1",
            f"GRANT SELECT ON {url.database}.* TO few@'%%'",
        ):
            connection.exec_driver_sql(line)
    with opened(url.set(username="few", password="x")) as engine, engine.connect():
        assert told(lambda: ping(engine)) == ["database.too_many_connections"]


def test_a_connection_that_was_ended_while_it_worked(url: sa.URL) -> None:
    with opened(url) as engine, engine.connect() as connection, engine.connect() as other:
        mine = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
        other.exec_driver_sql(f"KILL {mine}")
        (event,) = told(lambda: connection.exec_driver_sql("SELECT 1"))
        assert event in ("database.connection_lost", "database.shutting_down")
        connection.invalidate()


def test_a_pooled_connection_that_was_ended_is_replaced_before_it_is_used(url: sa.URL) -> None:
    with opened(url) as engine, opened(url) as other:
        with engine.connect() as connection:
            mine = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
        with other.connect() as connection:
            connection.exec_driver_sql(f"KILL {mine}")
        ping(engine)  # it raises nothing


def test_a_lock_wait_and_a_deadlock(url: sa.URL) -> None:
    with opened(url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE tug (id INT PRIMARY KEY, n INT)")
            connection.exec_driver_sql("INSERT INTO tug VALUES (1, 0), (2, 0)")
        with engine.connect() as one, engine.connect() as two:
            one.exec_driver_sql("UPDATE tug SET n = 1 WHERE id = 1")
            assert told(lambda: two.exec_driver_sql("UPDATE tug SET n = 2 WHERE id = 1")) == [
                "database.lock_wait"
            ]
            one.rollback()
            two.rollback()
        with engine.connect() as one, engine.connect() as two:
            one.exec_driver_sql("UPDATE tug SET n = 1 WHERE id = 1")
            two.exec_driver_sql("UPDATE tug SET n = 2 WHERE id = 2")
            failed: list[DBAPIError] = []

            def cross(connection: sa.Connection, row: int) -> None:
                try:
                    connection.exec_driver_sql(f"UPDATE tug SET n = 3 WHERE id = {row}")
                except DBAPIError as error:
                    failed.append(error)

            with capture_logs() as lines:
                crossing = threading.Thread(target=cross, args=(one, 2))
                crossing.start()
                cross(two, 1)
                crossing.join(30)
            assert len(failed) == 1
            assert [line["event"] for line in lines] == ["database.deadlock"]
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE tug")
