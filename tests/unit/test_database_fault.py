"""Each kind of trouble with the database is one log line that says what it is and what to do."""

import socket
import sqlite3
import ssl
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from structlog.testing import capture_logs

from payouts.storage.database_fault import FAULTS, FaultKind, fault_of
from payouts.storage.engine import build_engine, ping
from payouts.storage.fault_log import AGAIN_AFTER_S, FaultLog


def wrapped(error: Exception) -> DBAPIError:
    return OperationalError("SELECT secret", {}, error)


def no_connection(cause: Exception) -> pymysql.err.OperationalError:
    """As PyMySQL says that no connection came about."""
    error = pymysql.err.OperationalError(2003, f"Can't connect to MySQL server on 'db' ({cause})")
    error.original_exception = cause  # type: ignore[attr-defined]
    return error


def said(number: int, text: str = "x") -> pymysql.err.OperationalError:
    return pymysql.err.OperationalError(number, text)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (no_connection(ConnectionRefusedError(111, "Connection refused")), FaultKind.REFUSED),
        (no_connection(socket.gaierror(-2, "Name or service not known")), FaultKind.UNKNOWN_HOST),
        (no_connection(TimeoutError("timed out")), FaultKind.UNREACHABLE),
        (no_connection(OSError(113, "No route to host")), FaultKind.UNREACHABLE),
        (no_connection(ssl.SSLCertVerificationError("certificate verify failed")), FaultKind.TLS),
        (no_connection(ConnectionResetError(104, "reset")), FaultKind.LOST),
        (said(2026, "SSL is required but the server doesn't support it"), FaultKind.TLS),
        (said(1040, "Too many connections"), FaultKind.TOO_MANY),
        (said(1226, "max_user_connections"), FaultKind.TOO_MANY),
        (said(1045, "Access denied for user"), FaultKind.ACCESS_DENIED),
        (said(1130, "Host is not allowed to connect"), FaultKind.HOST_REFUSED),
        (said(1049, "Unknown database"), FaultKind.NO_DATABASE),
        (pymysql.err.ProgrammingError(1146, "Table doesn't exist"), FaultKind.NO_TABLE),
        (said(1290, "--read-only"), FaultKind.READ_ONLY),
        (said(2013, "Lost connection to MySQL server during query"), FaultKind.LOST),
        (said(2013, "Lost connection to MySQL server during query (timed out)"), FaultKind.UNREACHABLE),
        (said(2006, "MySQL server has gone away"), FaultKind.LOST),
        (pymysql.err.InterfaceError(0, ""), FaultKind.LOST),
        (said(1053, "Server shutdown in progress"), FaultKind.STOPPING),
        (said(1114, "The table is full"), FaultKind.FULL),
        (said(1205, "Lock wait timeout exceeded"), FaultKind.LOCK_WAIT),
        (said(1213, "Deadlock found"), FaultKind.DEADLOCK),
        (sqlite3.OperationalError("database is locked"), FaultKind.LOCK_WAIT),
        (sqlite3.OperationalError("unable to open database file"), FaultKind.UNREACHABLE),
        (sqlite3.OperationalError("attempt to write a readonly database"), FaultKind.READ_ONLY),
        (pymysql.err.IntegrityError(1062, "Duplicate entry"), None),
        (said(1064, "You have an error in your SQL syntax"), None),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), None),
        (ValueError("no database in it"), None),
    ],
)
def test_an_error_of_the_driver_is_one_of_these(error: Exception, kind: FaultKind | None) -> None:
    for each in (error, wrapped(error)):
        fault = fault_of(each)
        assert (fault.kind if fault else None) == kind


def test_a_pool_that_is_used_up_is_another_thing_than_a_server_that_is_full() -> None:
    fault = fault_of(PoolTimeoutError("QueuePool limit of size 1 overflow 0 reached"))
    assert fault is not None
    assert fault.kind == FaultKind.POOL


def test_every_kind_says_what_it_is_and_what_to_do() -> None:
    assert set(FAULTS) == set(FaultKind)
    assert all(fault.what and fault.remedy for fault in FAULTS.values())


def test_the_same_trouble_is_one_line_and_after_a_while_another_with_a_count() -> None:
    now_s = [0.0]
    log = FaultLog(lambda: now_s[0])
    with capture_logs() as lines:
        for _ in range(50):
            log.note(said(1040, "Too many connections"))
        log.note(said(2013, "Lost connection"))
        log.note(said(1062, "Duplicate entry 'x' for key"))
        now_s[0] += AGAIN_AFTER_S
        log.note(said(1040, "Too many connections"))
    events = [(line["event"], line["log_level"], line.get("times_since_last_told")) for line in lines]
    assert events == [
        ("database.too_many_connections", "error", None),
        ("database.connection_lost", "error", None),
        ("database.too_many_connections", "error", 49),
    ]
    assert "payouts pools" in lines[0]["do"]


def test_what_passes_by_itself_is_no_error() -> None:
    with capture_logs() as lines:
        FaultLog().note(wrapped(said(1213, "Deadlock found")))
    assert [(line["event"], line["log_level"]) for line in lines] == [("database.deadlock", "info")]


def test_an_engine_tells_why_it_does_not_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payouts.storage.fault_log.FAULT_LOG", FaultLog())
    engine = build_engine("mysql://someone:hidden@127.0.0.1:1/none", timeout_s=1, pool_size=1)
    with capture_logs() as lines, pytest.raises(OperationalError):
        ping(engine)
    engine.dispose()
    assert [line["event"] for line in lines] == ["database.connection_refused"]
    assert "hidden" not in str(lines)


def test_an_engine_tells_that_its_pool_is_used_up(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payouts.storage.fault_log.FAULT_LOG", FaultLog())
    engine = build_engine(f"sqlite:///{tmp_path}/x.db", timeout_s=0.05, pool_size=1)
    engine.pool._max_overflow = 0  # type: ignore[attr-defined]  # as with a server
    with engine.connect(), capture_logs() as lines, pytest.raises(PoolTimeoutError):
        engine.connect()
    engine.dispose()
    assert [line["event"] for line in lines] == ["database.pool_exhausted"]


def test_the_page_on_health_has_each_kind() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "health.md").read_text()
    assert [kind for kind in FaultKind if f"`database.{kind}`" not in page] == []
