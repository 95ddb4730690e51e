"""What is wrong with the database, by the driver's error: which kind, in words, and what to do about it."""

import socket
import sqlite3
import ssl
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class FaultKind(StrEnum):
    """What went wrong."""

    REFUSED = "connection_refused"
    UNKNOWN_HOST = "unknown_host"
    UNREACHABLE = "unreachable"
    TLS = "tls_failed"
    TOO_MANY = "too_many_connections"
    POOL = "pool_exhausted"
    ACCESS_DENIED = "access_denied"
    HOST_REFUSED = "host_refused"
    NO_DATABASE = "no_database"
    NO_TABLE = "no_table"
    READ_ONLY = "read_only"
    LOST = "connection_lost"
    STOPPING = "shutting_down"
    FULL = "full"
    SLOW = "statement_too_slow"
    LOCK_WAIT = "lock_wait"
    DEADLOCK = "deadlock"


@dataclass(frozen=True, slots=True)
class Fault:
    """`what` and `remedy` are fit for anybody: no address, no name of a user, no statement."""

    kind: FaultKind
    what: str
    remedy: str


def _fault(kind: FaultKind, what: str, remedy: str) -> tuple[FaultKind, Fault]:
    return kind, Fault(kind, what, remedy)


FAULTS = dict(
    [
        _fault(
            FaultKind.REFUSED,
            "the database refuses connections: nothing listens there",
            "start the server, or mend host and port in DATABASE_URL",
        ),
        _fault(
            FaultKind.UNKNOWN_HOST,
            "the database's host has no address",
            "mend the host in DATABASE_URL, or the name service",
        ),
        _fault(
            FaultKind.UNREACHABLE,
            "the database cannot be reached, or does not answer in time",
            "look at the network between, at firewalls, and whether the server is frozen or overloaded",
        ),
        _fault(
            FaultKind.TLS,
            "no TLS connection to the database comes about",
            "compare certificates and ssl_… in DATABASE_URL with what the server offers",
        ),
        _fault(
            FaultKind.TOO_MANY,
            "the database has too many connections",
            "`payouts pools` says what fits: raise max_connections, lower DATABASE_POOL_SIZE, or run fewer "
            "processes",
        ),
        _fault(
            FaultKind.POOL,
            "all connections of this process are in use",
            "look for slow statements; raise DATABASE_POOL_SIZE where `payouts pools` says that it fits",
        ),
        _fault(
            FaultKind.ACCESS_DENIED,
            "the database lets this user not in, or not to do this",
            "mend user and password in DATABASE_URL, or grant the user what it needs",
        ),
        _fault(
            FaultKind.HOST_REFUSED,
            "the database takes no connections from this host",
            "grant the user from this host; after many failed connections: `FLUSH HOSTS`",
        ),
        _fault(
            FaultKind.NO_DATABASE,
            "the server has no such database",
            "create it, or mend its name in DATABASE_URL",
        ),
        _fault(FaultKind.NO_TABLE, "the database lacks a table", "run `payouts db upgrade`"),
        _fault(
            FaultKind.READ_ONLY,
            "the database takes no writes: it is read-only",
            "point DATABASE_URL at the primary; after a failover wait until its address leads there",
        ),
        _fault(
            FaultKind.LOST,
            "the connection to the database was lost",
            "nothing, if it is rare: what was begun is tried again; else look whether the server restarts",
        ),
        _fault(
            FaultKind.STOPPING,
            "the database shuts down, or ended the connection",
            "nothing, if that was meant: what was begun is tried again",
        ),
        _fault(
            FaultKind.FULL,
            "the database has no room left: disk, memory or table",
            "make room on the server's disk",
        ),
        _fault(
            FaultKind.SLOW,
            "a statement took longer than the database allows",
            "look at the server's load and its slow log",
        ),
        _fault(
            FaultKind.LOCK_WAIT,
            "a row stayed locked by somebody else for too long",
            "nothing, if it is rare: it is tried again; else look for a long transaction (SHOW PROCESSLIST)",
        ),
        _fault(
            FaultKind.DEADLOCK,
            "two transactions waited for each other, and one of them was given up",
            "nothing, if it is rare: it is tried again; else SHOW ENGINE INNODB STATUS names both",
        ),
    ]
)

_BY_NUMBER = {
    **dict.fromkeys((1040, 1203, 1226), FaultKind.TOO_MANY),
    **dict.fromkeys((1044, 1045, 1142, 1227, 1698), FaultKind.ACCESS_DENIED),
    **dict.fromkeys((1129, 1130), FaultKind.HOST_REFUSED),
    1049: FaultKind.NO_DATABASE,
    1146: FaultKind.NO_TABLE,
    **dict.fromkeys((1290, 1792, 1836, 3100), FaultKind.READ_ONLY),
    **dict.fromkeys((1158, 1159, 1160, 1161, 2006, 2013, 2014, 2055), FaultKind.LOST),
    **dict.fromkeys((1053, 1077, 1317, 1927), FaultKind.STOPPING),
    **dict.fromkeys((1021, 1026, 1030, 1037, 1038, 1041, 1114, 1135), FaultKind.FULL),
    **dict.fromkeys((1180, 1969, 3024), FaultKind.SLOW),
    1205: FaultKind.LOCK_WAIT,
    1213: FaultKind.DEADLOCK,
    2026: FaultKind.TLS,
}
"""MySQL's and MariaDB's numbers. 2002, 2003 and 2005 say only that no connection came about."""
_SQLITE = {
    "readonly": FaultKind.READ_ONLY,
    "no such table": FaultKind.NO_TABLE,
    "locked": FaultKind.LOCK_WAIT,
    "busy": FaultKind.LOCK_WAIT,
    "full": FaultKind.FULL,
    "unable to open": FaultKind.UNREACHABLE,
    "disk i/o": FaultKind.FULL,
}
_NO_CONNECTION = (2002, 2003, 2005)
_LOST = 2013


def fault_of(error: BaseException | None) -> Fault | None:
    """What a driver's or SQLAlchemy's error says; None where it speaks of the statement alone."""
    kind = _kind(error)
    return FAULTS[kind] if kind else None


def _kind(error: BaseException | None) -> FaultKind | None:
    if error is None:
        return None
    if isinstance(error, PoolTimeoutError):
        return FaultKind.POOL
    error = getattr(error, "orig", None) or error
    if isinstance(error, sqlite3.Error):
        said = str(error).lower()
        return next((kind for words, kind in _SQLITE.items() if words in said), None)
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    if isinstance(error, OSError):
        return _no_connection(error, str(error))
    if number in _NO_CONNECTION:
        return _no_connection(getattr(error, "original_exception", None) or error.__cause__, str(error))
    if number == 0 and not any(error.args[1:]):
        return FaultKind.LOST  # PyMySQL's word for a connection that is closed already
    if number == _LOST and "timed out" in str(error):
        return FaultKind.UNREACHABLE
    return None if number is None else _BY_NUMBER.get(number)


def _no_connection(cause: BaseException | None, said: str) -> FaultKind:
    if isinstance(cause, ssl.SSLError) or "SSL" in said:
        return FaultKind.TLS
    if isinstance(cause, socket.gaierror):
        return FaultKind.UNKNOWN_HOST
    if isinstance(cause, ConnectionRefusedError | FileNotFoundError):
        return FaultKind.REFUSED
    if isinstance(cause, ConnectionError):
        return FaultKind.LOST
    return FaultKind.UNREACHABLE
