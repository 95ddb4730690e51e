"""`payouts status` as people and scripts meet it: what it shows, and the code that it ends with."""

import json
from pathlib import Path

import pytest

from payouts.clock import now_ms
from payouts.meters import EVENTS, Counter
from tests.support.commands import Done, run_here
from tests.support.databases import migrated_file
from tests.support.pulses import a_pulse, say
from tests.support.servers import RedisServer

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def url(tmp_path: Path, redis_server: RedisServer) -> str:
    """A database, and a Redis in which all processes are there."""
    with redis_server.client as client:
        for role in ("receiver", "worker", "scheduler"):
            say(client, role, f"{role}:1", used_bytes=10, limit_bytes=100)
    return migrated_file(tmp_path / "payouts.db")


def status(url: str, redis_url: str, *words: str) -> Done:
    return run_here("status", *words, DATABASE_URL=url, REDIS_URL=redis_url)


def test_all_is_normal(url: str, redis_server: RedisServer) -> None:
    shown = status(url, redis_server.url)

    assert shown.returncode == 0, shown.stdout
    assert "normal: development, test mode" in shown.stdout
    assert "scheduler:1" in shown.stdout


def test_a_warning_ends_with_1_and_what_is_critical_with_2(url: str, redis_server: RedisServer) -> None:
    with redis_server.client as client:
        say(client, "worker", "tight:1", used_bytes=70, limit_bytes=100)
        warned = status(url, redis_server.url)
        say(client, "worker", "full:1", used_bytes=86, limit_bytes=100)
        critical = status(url, redis_server.url)

    assert (warned.returncode, critical.returncode) == (1, 2)
    assert "70.00 % (tight: 0.0 GiB of 0.0 GiB of the machine)" in warned.stdout
    assert "86.00 % (full:" in critical.stdout


def test_json_has_the_minutes_and_all_that_was_judged(url: str, redis_server: RedisServer) -> None:
    events = Counter(EVENTS)
    events.add({("applied",): 4, ("retrying",): 1})
    with redis_server.client as client:
        a_pulse(client, "worker", "a:1", now_ms, events).beat()

    said = json.loads(status(url, redis_server.url, "--json", "--hours", "2").stdout)

    assert len(said["minutes"]) == 120
    assert sum(minute["applied"] for minute in said["minutes"]) == 4
    assert sum(minute["failed"] for minute in said["minutes"]) == 1
    assert sorted(said["signs"]) == [
        *("database_connections", "error_rate", "memory", "p95_latency", "rate_limit_hits")
    ]
    assert {each["role"] for each in said["processes"]} == {"receiver", "worker", "scheduler"}
    assert said["dead"]["events"] == {"count": 0, "oldest": None}


def test_with_redis_or_the_database_away_the_rest_is_shown(url: str, redis_server: RedisServer) -> None:
    no_redis = status(url, NOWHERE, "--json")
    no_database = status("mysql://nobody:hush@127.0.0.1:1/none", redis_server.url)

    assert (no_redis.returncode, no_database.returncode) == (2, 2)
    said = json.loads(no_redis.stdout)
    assert (said["minutes"], said["waiting"]["events"]) == (None, [])
    assert "worker:1" in no_database.stdout
    assert "hush" not in no_database.stdout
