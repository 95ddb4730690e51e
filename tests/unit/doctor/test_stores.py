"""Redis, the database, its revision: what would lose or refuse something is told from what would not."""

import dataclasses
from typing import Any

import pytest
import redis

from payouts.doctor.database import Pools, judge_database
from payouts.doctor.finding import Check, Finding, Level
from payouts.doctor.migrations import judge_migrations
from payouts.doctor.redis_server import SpillFacts, judge_redis, judge_spill
from payouts.storage.redis_facts import RedisFacts
from payouts.storage.revisions import Revisions
from payouts.storage.server_facts import DatabaseFacts

NOW_MS = 1_790_000_000_000
KEEPS = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
REDIS = RedisFacts("7.2.4", 0, 2_000_000, last_write_ok=True, config=KEEPS, config_error="", flushed=[1, 0])
MARIADB = DatabaseFacts(
    "mariadb",
    "10.11.19-MariaDB-0+deb12u1",
    "READ COMMITTED",
    {
        "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
        "innodb_flush_log_at_trx_commit": "1",
        "log_bin": "OFF",
        "sync_binlog": "0",
        "character_set_connection": "utf8mb4",
        "max_connections": "151",
        "max_user_connections": "0",
        "max_allowed_packet": "16777216",
    },
    most_used_connections=20,
)
SQLITE = DatabaseFacts("sqlite", "3.40.1", "SERIALIZABLE", {"journal_mode": "wal", "synchronous": "2"})
POOLS = Pools(receiver=3, others=5)


def wrong(found: list[Finding]) -> list[tuple[Check, Level]]:
    assert all(each.remedy for each in found if each.level != Level.OK)
    return [(each.check, each.level) for each in found if each.level != Level.OK]


def of_redis(spill: Any = "auto", **changed: Any) -> list[tuple[Check, Level]]:
    return wrong(judge_redis(dataclasses.replace(REDIS, **changed), spill))


def of_mariadb(**variables: str | None) -> list[tuple[Check, Level]]:
    kept = {**MARIADB.variables, **variables}
    facts = dataclasses.replace(MARIADB, variables={key: value for key, value in kept.items() if value})
    return wrong(judge_database(facts, POOLS))


def test_a_redis_that_keeps_what_it_takes_is_fine() -> None:
    assert of_redis() == []
    assert of_redis(config=KEEPS | {"appendfsync": "everysec"}) == []  # it waited for its disk
    assert of_redis(maxmemory_bytes=10_000_000) == []


@pytest.mark.parametrize(
    "config",
    [
        {"appendonly": "no"},
        {"appendfsync": "no"},
        {"maxmemory-policy": "allkeys-lru"},
        {"maxmemory-policy": "volatile-ttl"},
    ],
)
def test_a_redis_that_loses_or_evicts_is_bad_unless_nothing_is_spilled(config: dict[str, str]) -> None:
    assert of_redis(config=KEEPS | config) == [(Check.REDIS_KEEPS, Level.BAD)]
    assert of_redis("off", config=KEEPS | config) == []
    assert of_redis("trusted", config=KEEPS | config) == []


@pytest.mark.parametrize("flushed", [redis.ResponseError("unknown command 'WAITAOF'"), [0, 0]])
def test_a_redis_that_flushes_each_second_must_be_able_to_wait_for_its_disk(flushed: object) -> None:
    lazy = KEEPS | {"appendfsync": "everysec"}
    assert of_redis(config=lazy, flushed=flushed) == [(Check.REDIS_KEEPS, Level.BAD)]


def test_a_redis_that_hides_its_configuration_is_unknown_until_somebody_vouches_for_it() -> None:
    hidden = dataclasses.replace(REDIS, config=None, config_error="NOPERM no CONFIG for you")
    (found,) = [each for each in judge_redis(hidden, "auto") if each.level != Level.OK]
    assert (found.check, found.level) == (Check.REDIS_KEEPS, Level.UNKNOWN)
    assert "REDIS_SPILL=trusted" in found.remedy
    assert wrong(judge_redis(hidden, "trusted")) == []


@pytest.mark.parametrize(
    ("version", "level"), [("6.0.16", Level.BAD), ("5.0", Level.BAD), (None, Level.WARNING)]
)
def test_a_redis_without_blmove_is_bad(version: str | None, level: Level) -> None:
    assert of_redis(version=version) == [(Check.REDIS_VERSION, level)]


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.1.3", "10.0"])
def test_newer_redis_are_all_fine(version: str) -> None:
    assert of_redis(version=version) == []


def test_a_redis_that_is_nearly_full_or_cannot_write_is_found() -> None:
    assert of_redis(maxmemory_bytes=2_200_000) == [(Check.REDIS_MEMORY, Level.WARNING)]
    assert of_redis(maxmemory_bytes=2_000_000) == [(Check.REDIS_MEMORY, Level.BAD)]
    assert of_redis(last_write_ok=False) == [(Check.REDIS_DISK, Level.BAD)]


def test_spilled_events_are_bad_once_nobody_moves_them_or_the_inbox_refused_them() -> None:
    def of(waiting: int, age_ms: int, refused: int = 0) -> list[tuple[Check, Level]]:
        oldest_ms = NOW_MS - age_ms if waiting else None
        return wrong(judge_spill(SpillFacts(waiting, oldest_ms, refused, NOW_MS)))

    assert of(0, 0) == []
    assert of(12, 60_000) == []
    assert of(12, 600_000) == [(Check.REDIS_SPILLED, Level.BAD)]
    assert of(0, 0, refused=1) == [(Check.REDIS_SPILLED, Level.BAD)]


def test_a_server_and_sessions_as_they_should_be_are_fine() -> None:
    assert of_mariadb() == []
    assert of_mariadb(log_bin="ON", sync_binlog="1") == []
    assert wrong(judge_database(SQLITE, POOLS)) == []


@pytest.mark.parametrize(
    ("variables", "check", "level"),
    [
        ({"sql_mode": "NO_ENGINE_SUBSTITUTION"}, Check.DATABASE_STRICT, Level.BAD),
        ({"sql_mode": None}, Check.DATABASE_STRICT, Level.BAD),
        ({"innodb_flush_log_at_trx_commit": "0"}, Check.DATABASE_DURABLE, Level.WARNING),
        ({"innodb_flush_log_at_trx_commit": "2"}, Check.DATABASE_DURABLE, Level.WARNING),
        ({"innodb_flush_log_at_trx_commit": None}, Check.DATABASE_DURABLE, Level.WARNING),
        ({"log_bin": "ON"}, Check.DATABASE_DURABLE, Level.WARNING),
        ({"character_set_connection": "latin1"}, Check.DATABASE_CHARACTERS, Level.BAD),
        ({"max_connections": "30"}, Check.DATABASE_CONNECTIONS, Level.BAD),
        ({"max_user_connections": "20"}, Check.DATABASE_CONNECTIONS, Level.BAD),
        ({"max_connections": None}, Check.DATABASE_CONNECTIONS, Level.WARNING),
        ({"max_allowed_packet": "1048576"}, Check.DATABASE_PACKET, Level.BAD),
        ({"max_allowed_packet": None}, Check.DATABASE_PACKET, Level.WARNING),
    ],
)
def test_each_wrong_setting_of_a_server_is_found(
    variables: dict[str, str | None], check: Check, level: Level
) -> None:
    assert of_mariadb(**variables) == [(check, level)]


def test_connections_that_were_nearly_used_up_are_a_warning() -> None:
    facts = dataclasses.replace(MARIADB, most_used_connections=140)
    assert wrong(judge_database(facts, POOLS)) == [(Check.DATABASE_CONNECTIONS, Level.WARNING)]


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE", "READ-UNCOMMITTED"])
def test_another_isolation_is_bad(isolation: str) -> None:
    facts = dataclasses.replace(MARIADB, isolation=isolation)
    assert wrong(judge_database(facts, POOLS)) == [(Check.DATABASE_ISOLATION, Level.BAD)]


@pytest.mark.parametrize(
    ("dialect", "version", "good"),
    [
        ("mysql", "8.0.40", True),
        ("mysql", "8.4.3", True),
        ("mysql", "5.7.44-log", False),
        ("mariadb", "10.5.26-MariaDB", False),
        ("mariadb", "5.5.5-10.6.18-MariaDB-log", True),
        ("mariadb", "11.4.2-MariaDB", True),
        ("mysql", "unheard of", False),
    ],
)
def test_versions_are_compared_as_numbers(dialect: str, version: str, good: bool) -> None:
    facts = dataclasses.replace(MARIADB, dialect=dialect, version=version)
    assert wrong(judge_database(facts, POOLS)) == ([] if good else [(Check.DATABASE_VERSION, Level.BAD)])


@pytest.mark.parametrize("pragmas", [{"journal_mode": "delete"}, {"synchronous": "1"}])
def test_a_sqlite_file_that_may_lose_a_commit_is_bad(pragmas: dict[str, str]) -> None:
    facts = dataclasses.replace(SQLITE, variables=SQLITE.variables | pragmas)
    assert wrong(judge_database(facts, POOLS)) == [(Check.DATABASE_DURABLE, Level.BAD)]


@pytest.mark.parametrize(
    ("current", "is_known", "levels"),
    [
        ("0005", True, []),
        ("0003", True, [Level.BAD]),
        (None, False, [Level.BAD]),
        ("0009", False, [Level.WARNING]),
    ],
)
def test_a_database_behind_the_code_is_bad_and_one_ahead_a_warning(
    current: str | None, is_known: bool, levels: list[Level]
) -> None:
    found = wrong(judge_migrations(Revisions(current, "0005", is_known)))
    assert [level for _, level in found] == levels
