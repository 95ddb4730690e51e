"""Engines: one way to open each database, with every limit named."""

import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from payouts.clock import timed
from payouts.errors import SettingsError
from payouts.storage.fault_log import ToldPool, tell_faults

LOCK_WAIT_S = 1
"""How long a statement waits for a row lock before it gives up (innodb_lock_wait_timeout)."""
IDLE_S = 60
"""The server drops a connection that says nothing for so long (wait_timeout): the locks of a process that
is frozen or cut off go with it."""
PATIENT_IDLE_S = 28_800
RECYCLE_S = 30
"""Connections older than this are replaced when they are next needed, well before that."""

_DEADLOCK, _LOCK_WAIT_TIMEOUT = 1213, 1205
_NOT_NOW = frozenset(
    {
        *(1040, 1203, 1226),  # too many connections, in all or for this user
        *(1053, 1077, 1317, 1927),  # shutting down, interrupted, killed
        *(1290, 1836, 3100),  # read-only
        *(1021, 1026, 1030, 1037, 1038, 1041, 1114, 1135),  # disk, memory, threads or table full
        *(1047, 1105, 9001),  # a cluster's node or a proxy is not ready
        *(1129, 1130, 1158, 1159, 1160, 1161),  # host refused, packets lost
        *(1180, 1969, 3024),  # a commit or a statement took too long
        *(2002, 2003, 2006, 2013, 2014, 2055),  # connection refused or lost
        *(1044, 1045, 1049, 1142, 1146),  # no access, no database or no table: set up wrongly, or not yet
    }
)
"""MySQL's numbers for what is no fault of the statement: the same may succeed once somebody mends it."""
_SQLITE_NOT_NOW = ("unable to open", "disk", "readonly", "no such table")


def build_engine(
    url: str, *, timeout_s: float, pool_size: int, autocommit: bool = False, patient: bool = False
) -> Engine:
    """An engine for `url`; nothing connects yet.

    `timeout_s` bounds connecting, each answer, and waiting for a pooled connection. `patient`: answers
    may take any time (a migration of a large table). `autocommit`: each
    statement is a transaction, which saves a round trip where one statement is the whole unit of work.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "DATABASE_URL does not read as an address: it looks like mysql://user:password@host/name "
            "or sqlite:////path/to/file.db"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite_engine(parsed, timeout_s, pool_size)
    if backend in ("mysql", "mariadb"):
        return _mysql_engine(parsed, timeout_s, pool_size, autocommit, patient)
    raise SettingsError(f"DATABASE_URL names {backend!r}: use mysql://, mariadb:// or sqlite://")


def _mysql_engine(url: URL, timeout_s: float, pool_size: int, autocommit: bool, patient: bool) -> Engine:
    url = url.set(drivername=f"{url.get_backend_name()}+pymysql")
    engine = create_engine(
        url,
        poolclass=ToldPool,
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout_s,
        pool_recycle=RECYCLE_S,
        # A trip that finds out whether the last server is gone. Where a statement is the whole unit of work
        # it is repeated instead, which costs nothing while all is well.
        pool_pre_ping=not autocommit,
        skip_autocommit_rollback=autocommit,
        hide_parameters=True,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": max(1, round(timeout_s)),
            "read_timeout": None if patient else timeout_s,
            "write_timeout": None if patient else timeout_s,
            # Strict: a value that does not fit is an error, never cut short. Backslashes escape.
            # Intersecting two indexes reads all of both before the first row of a page: seconds, if large.
            "init_command": "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
            "optimizer_switch='index_merge_intersection=off', "
            f"innodb_lock_wait_timeout={LOCK_WAIT_S}, time_zone='+00:00', "
            f"wait_timeout={PATIENT_IDLE_S if patient else IDLE_S}",
        },
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, words: Any, names: Any) -> DBAPIConnection:
        return _connection_class()(*words, **names)  # type: ignore[no-any-return]

    tell_faults(engine)
    return engine


@cache
def _connection_class() -> Any:
    """PyMySQL's connection, without what it does for nothing.

    Where the address says nothing of TLS it is used if the server offers it, and no certificate is checked;
    the driver still reads all certificates of the system for each connection, some 50 ms of computing.
    """
    from pymysql.connections import Connection as Plain

    lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lenient.check_hostname = False
    lenient.verify_mode = ssl.CERT_NONE

    class Quick(Plain):
        def _create_ssl_ctx(self, asked: Any) -> Any:
            return super()._create_ssl_ctx(asked) if asked else lenient  # type: ignore[misc]

    return Quick


def _sqlite_engine(url: URL, timeout_s: float, pool_size: int) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    in_memory = not url.database or url.database == ":memory:"
    pool: dict[str, Any] = (
        {} if in_memory else {"poolclass": ToldPool, "pool_size": pool_size, "pool_timeout": timeout_s}
    )
    connect_args = {"timeout": timeout_s, "check_same_thread": False}
    engine = create_engine(url, hide_parameters=True, connect_args=connect_args, **pool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: Any) -> None:
        # SQLAlchemy begins transactions (below); the driver's own rule would begin them too late.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A transaction that will write takes the lock at its start: upgrading later can fail at once.
        reading = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    tell_faults(engine)
    return engine


def ping(engine: Engine) -> float:
    """Ask the database for an answer: how many ms a short trip took. Raises what SQLAlchemy raises."""
    with engine.connect().execution_options(read_only=True) as connection:
        connection.execute(text("SELECT 1"))  # begins a transaction, so that the time below is of one trip
        return timed(lambda: connection.execute(text("SELECT 1")))


@contextmanager
def single_statement(engine: Engine) -> Iterator[Connection]:
    """A connection for a unit of work that is one statement.

    On an engine with `autocommit` the statement commits itself, without a trip of its own for it.
    """
    with engine.connect() if engine.dialect.name != "sqlite" else engine.begin() as connection:
        yield connection


def error_number(error: BaseException) -> int | None:
    """The server's error number behind a SQLAlchemy error, where there is one."""
    args = getattr(getattr(error, "orig", None), "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def is_contention(error: BaseException) -> bool:
    """A deadlock, a lock wait that ran out or a busy SQLite file: the same unit of work may succeed."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        return "locked" in str(error.orig) or "busy" in str(error.orig)
    return error_number(error) in (_DEADLOCK, _LOCK_WAIT_TIMEOUT)


def is_lock_wait(error: BaseException) -> bool:
    """A row stayed locked by somebody else for longer than LOCK_WAIT_S."""
    return isinstance(error, DBAPIError) and error_number(error) == _LOCK_WAIT_TIMEOUT


def is_unavailable(error: BaseException) -> bool:
    """The database could not be reached or went away, as opposed to refusing what it was given."""
    if isinstance(error, PoolTimeoutError | OSError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or is_contention(error):
        return True
    if isinstance(error.orig, sqlite3.OperationalError):
        return any(word in str(error.orig) for word in _SQLITE_NOT_NOW)
    number = error_number(error)
    if isinstance(error, OperationalError | InterfaceError):
        return number in _NOT_NOW or number in (0, None)
    return number in _NOT_NOW
