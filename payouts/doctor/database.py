"""The database: a server that is supported, and sessions in which what was committed stays."""

import re
from dataclasses import dataclass

from payouts.doctor.finding import Check, Finding, bad, ok, warning
from payouts.storage.server_facts import DatabaseFacts

OLDEST = {"mysql": (8, 0), "mariadb": (10, 6), "sqlite": (3, 35)}
LEAST_PACKET_BYTES = 4 * 1024 * 1024
"""A receiver writes many events with one statement, each of up to 1 MiB."""
SPARE_CONNECTIONS = 10
NEARLY_ALL = 0.85

_NAMES = {"mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite"}


@dataclass(frozen=True, slots=True)
class Pools:
    """How many connections one process of each role may hold."""

    receiver: int
    others: int
    """A worker, a scheduler, an API, a command."""

    @property
    def one_of_each(self) -> int:
        return self.receiver + 4 * self.others


def judge_database(facts: DatabaseFacts, pools: Pools) -> list[Finding]:
    """Findings on the server and on our sessions."""
    if facts.dialect == "sqlite":
        return [_version(facts), _sqlite_durable(facts)]
    return [
        *(_version(facts), _isolation(facts), _strict(facts), _durable(facts), _characters(facts)),
        *(_connections(facts, pools), _packet(facts)),
    ]


def _version(facts: DatabaseFacts) -> Finding:
    name, oldest = _NAMES[facts.dialect], OLDEST[facts.dialect]
    # MariaDB puts 5.5.5- in front of its version for old replicas.
    found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", facts.version)
    numbers = tuple(int(part) for part in found.groups()) if found else (0, 0)
    if numbers < oldest:
        wanted = ".".join(map(str, oldest))
        return bad(Check.DATABASE_VERSION, f"{name} {facts.version} is too old", f"use {wanted} or newer")
    return ok(Check.DATABASE_VERSION, f"{name} {facts.version}")


def _isolation(facts: DatabaseFacts) -> Finding:
    check = Check.DATABASE_ISOLATION
    if facts.isolation.replace("-", " ").upper() != "READ COMMITTED":
        text = f"our sessions read as {facts.isolation}, not READ COMMITTED: locks would cover more than rows"
        return bad(check, text, "look for a proxy or an init_connect that sets the isolation of sessions")
    return ok(check, "our sessions are READ COMMITTED")


def _strict(facts: DatabaseFacts) -> Finding:
    check, mode = Check.DATABASE_STRICT, facts.variables.get("sql_mode", "")
    if not {"STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"} & set(mode.split(",")):
        text = f"our sessions are not strict (sql_mode {mode or 'empty'}): values may be cut short silently"
        return bad(check, text, "look for a proxy or an init_connect that sets sql_mode")
    return ok(check, f"sql_mode {mode}")


def _durable(facts: DatabaseFacts) -> Finding:
    check = Check.DATABASE_DURABLE
    flush, binlog = facts.variables.get("innodb_flush_log_at_trx_commit"), facts.variables.get("sync_binlog")
    if flush is None:
        return warning(
            check, "the server does not tell whether a commit is on its disk", "ask who hosts it for that"
        )
    if flush != "1":
        return warning(
            check,
            f"innodb_flush_log_at_trx_commit is {flush}: a crash of its machine loses up to a second of "
            "what was acknowledged",
            "set innodb_flush_log_at_trx_commit=1, unless losing a server never loses its disk's cache",
        )
    if facts.variables.get("log_bin") == "ON" and binlog == "0":
        return warning(
            check,
            "sync_binlog is 0: after a crash replicas and point-in-time restores may lack what was committed",
            "set sync_binlog=1",
        )
    return ok(check, "a commit is on its disk (innodb_flush_log_at_trx_commit 1)")


def _characters(facts: DatabaseFacts) -> Finding:
    check, found = Check.DATABASE_CHARACTERS, facts.variables.get("character_set_connection")
    if found != "utf8mb4":
        text = f"our sessions speak {found}: some characters do not pass"
        return bad(check, text, "look for a proxy or an init_connect that sets the character set")
    return ok(check, "our sessions speak utf8mb4")


def _connections(facts: DatabaseFacts, pools: Pools) -> Finding:
    check, most = Check.DATABASE_CONNECTIONS, int(facts.variables.get("max_connections", 0))
    mine = int(facts.variables.get("max_user_connections", 0))
    most = min(filter(None, (most, mine)), default=0)
    need = pools.one_of_each + SPARE_CONNECTIONS
    if not most:
        return warning(
            check, "the server does not tell how many connections it allows", "ask who hosts it for that"
        )
    if most < need:
        text = f"{most} connections are allowed; one process of each role and some to spare take {need}"
        return bad(check, text, "raise max_connections, or lower DATABASE_POOL_SIZE")
    used = facts.most_used_connections
    if used is not None and used >= NEARLY_ALL * most:
        text = f"{used} of {most} connections were in use at once since the server started"
        return warning(
            check, text, "raise max_connections, lower DATABASE_POOL_SIZE, or start fewer processes"
        )
    return ok(check, f"{most} allowed, {used if used is not None else '?'} in use at most so far")


def _packet(facts: DatabaseFacts) -> Finding:
    check, size = Check.DATABASE_PACKET, int(facts.variables.get("max_allowed_packet", 0))
    if not size:
        return warning(
            check,
            "the server does not tell how large a statement may be",
            "make sure that it is 4 MiB or more",
        )
    if size < LEAST_PACKET_BYTES:
        text = f"max_allowed_packet is {size} bytes: large events would be refused"
        return bad(check, text, "set max_allowed_packet to 16M")
    return ok(check, f"statements may have {size // 1024 // 1024} MiB")


def _sqlite_durable(facts: DatabaseFacts) -> Finding:
    check = Check.DATABASE_DURABLE
    journal, synchronous = facts.variables.get("journal_mode"), facts.variables.get("synchronous")
    if journal != "wal":
        text = f"journal_mode is {journal}, not WAL: readers and writers wait for each other"
        return bad(check, text, "keep the file on a local disk: WAL does not work on a network's")
    if synchronous not in ("2", "3"):
        text = f"synchronous is {synchronous}: a crash of the machine loses what was acknowledged"
        return bad(check, text, "use this service's own connections, which set synchronous=FULL")
    return ok(check, "a commit is on disk (WAL, synchronous FULL)")
