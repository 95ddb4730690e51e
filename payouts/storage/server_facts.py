"""What a database server says of itself: version, isolation, how durable a commit is, limits, clock."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from payouts.clock import Clock, ClockReading

_ASKED = (
    *("sql_mode", "innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog", "character_set_connection"),
    *("max_connections", "max_user_connections", "max_allowed_packet", "version_comment"),
)


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database as one of our sessions finds it."""

    dialect: str
    """mysql, mariadb or sqlite, by what answers rather than by the address."""
    version: str
    isolation: str
    variables: dict[str, str] = field(default_factory=dict)
    """MySQL's and MariaDB's, those of the session where it has its own. SQLite: journal_mode, synchronous."""
    most_used_connections: int | None = None
    """At once, since the server started."""


def database_facts(connection: Connection) -> DatabaseFacts:
    """Ask the server behind `connection`."""
    isolation = str(connection.get_isolation_level())
    if connection.dialect.name == "sqlite":
        version = str(connection.scalar(text("SELECT sqlite_version()")))
        pragmas = {
            name: str(connection.exec_driver_sql(f"PRAGMA {name}").scalar())
            for name in ("journal_mode", "synchronous")
        }
        return DatabaseFacts("sqlite", version, isolation, pragmas)
    version = str(connection.scalar(text("SELECT VERSION()")))
    names = ", ".join(f"'{name}'" for name in _ASKED)
    # Not @@name: one that a server lacks would fail the whole question.
    rows = connection.exec_driver_sql(f"SHOW VARIABLES WHERE Variable_name IN ({names})")
    variables = {str(name): str(value) for name, value in rows}
    used = connection.exec_driver_sql("SHOW STATUS WHERE Variable_name = 'Max_used_connections'").first()
    dialect = "mariadb" if "mariadb" in version.lower() else "mysql"
    return DatabaseFacts(dialect, version, isolation, variables, int(used[1]) if used else None)


@dataclass(frozen=True, slots=True)
class ServerConnections:
    """How many connections a server has, from whomever, and how many it allows."""

    connected: int
    most: int
    user_most: int
    """Of one user. 0: as many as in all."""


def server_connections(connection: Connection) -> ServerConnections | None:
    """Ask the server behind `connection`; None where it does not tell, or is none (SQLite)."""
    if connection.dialect.name == "sqlite":
        return None
    said = {
        str(name): str(value)
        for question in (
            "SHOW STATUS WHERE Variable_name = 'Threads_connected'",
            "SHOW VARIABLES WHERE Variable_name IN ('max_connections', 'max_user_connections')",
        )
        for name, value in connection.exec_driver_sql(question)
    }
    if "Threads_connected" not in said or "max_connections" not in said:
        return None
    user_most = int(said.get("max_user_connections", "0"))
    return ServerConnections(int(said["Threads_connected"]), int(said["max_connections"]), user_most)


def database_clock(connection: Connection, clock: Clock) -> ClockReading | None:
    """The server's clock; None for SQLite, which has none but ours."""
    if connection.dialect.name == "sqlite":
        return None
    # The session's time zone is UTC, but UNIX_TIMESTAMP needs none.
    question = text("SELECT UNIX_TIMESTAMP(NOW(6)) * 1000")
    connection.execute(question)  # connects, so that the time below is that of one short trip
    asked_at_ms = clock()
    theirs_ms = int(connection.execute(question).scalar_one())
    return ClockReading(theirs_ms, asked_at_ms, clock())
