"""A 2xx means durable, whatever is down: the database, else a Redis that keeps what it takes, else 503 and
`Retry-After`. What was spilled is drained by itself when the database is back."""

import time

import pytest

from tests.support.lives import Lives, make_lives
from tests.support.senders import (
    Senders,
    check_applied_once,
    check_kept,
    storable_ids,
    stored_ids,
    wait_started,
)
from tests.support.servers import RedisServer, SqlServer, wait_until
from tests.support.stack import Stack, check_promises

STREAM = "payouts:spill"


@pytest.fixture
def dark(breakable: Stack, breakable_mariadb: SqlServer) -> Stack:
    """A stack whose database is down. Its receiver is yet to be started."""
    breakable_mariadb.kill()
    breakable.engine.dispose()
    return breakable


def check_end(stack: Stack, lives: Lives, senders: Senders) -> None:
    check_kept(stack, senders.acknowledged, lives.bodies)
    stack.wait_applied(60)
    check_promises(stack, lives.expected, lives.bodies)
    check_applied_once(stack)


def can_wait_for_its_disk(server: RedisServer) -> bool:
    with server.client as client:
        return "waitaof" in client.command_list()


def wait_drained(server: RedisServer) -> None:
    wait_until("the spill is drained", lambda: not server.client.xlen(STREAM), 30)


def test_with_the_database_down_events_are_kept_in_redis_and_drained_by_the_receiver(
    dark: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer
) -> None:
    lives = make_lives(120, seed=91)
    dark.start("receiver")

    senders = Senders(dark, lives.bodies, 16).start().join()
    assert set(senders.statuses) == {200}
    assert own_redis.client.xlen(STREAM) == sum(len(storable_ids([body])) for body in lives.bodies)
    breakable_mariadb.start()
    wait_drained(own_redis)

    dark.start("worker")
    check_end(dark, lives, senders)


def test_what_a_receiver_spilled_before_it_died_wait_drained_by_the_scheduler(
    dark: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer
) -> None:
    lives = make_lives(120, seed=92)
    dark.start("receiver")

    senders = Senders(dark, lives.bodies, 16).start().join()
    assert set(senders.statuses) == {200}
    dark.kill("receiver")
    breakable_mariadb.start()
    dark.start("worker", "scheduler")
    wait_drained(own_redis)

    check_end(dark, lives, senders)


def test_spilled_events_outlive_a_killed_redis(
    dark: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer
) -> None:
    lives = make_lives(60, seed=93)
    dark.start("receiver")

    senders = Senders(dark, lives.bodies, 16).start().join()
    assert set(senders.statuses) == {200}
    own_redis.kill()
    own_redis.start()
    breakable_mariadb.start()
    dark.start("worker", "scheduler")
    wait_drained(own_redis)

    check_end(dark, lives, senders)


@pytest.mark.parametrize(
    ("config", "spill", "status"),
    [
        ({"appendfsync": "everysec"}, "auto", 503),
        ({"maxmemory-policy": "allkeys-lru"}, "auto", 503),
        ({"appendonly": "no"}, "auto", 503),
        ({}, "off", 503),
        ({}, "auto", 200),
        ({"appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"}, "trusted", 200),
    ],
    ids=["everysec", "evicting", "no-file", "off", "safe", "trusted"],
)
def test_events_are_spilled_only_to_a_redis_that_keeps_them(
    dark: Stack, own_redis: RedisServer, config: dict[str, str], spill: str, status: int
) -> None:
    if config.get("appendfsync") == "everysec" and spill == "auto" and can_wait_for_its_disk(own_redis):
        pytest.skip("this Redis can wait for its disk (WAITAOF)")
    for name, value in config.items():
        own_redis.client.config_set(name, value)
    lives = make_lives(4, seed=94)
    body = next(body for body in lives.bodies if storable_ids([body]))
    dark.start("receiver", REDIS_SPILL=spill)

    answer = dark.post(body)

    assert answer.status_code == status
    if status == 503:
        assert int(answer.headers["retry-after"]) > 0
        assert "not stored" in answer.json()["error"]


def test_with_redis_down_the_database_alone_acknowledges_and_the_sweeper_applies_later(
    breakable: Stack, own_redis: RedisServer
) -> None:
    lives = make_lives(100, seed=95)
    breakable.start("receiver")
    own_redis.kill()

    senders = Senders(breakable, lives.bodies, 8).start().join()
    assert set(senders.statuses) == {200}
    assert senders.slowest_s < 1.0
    assert stored_ids(breakable) == storable_ids(lives.bodies)
    own_redis.start()
    breakable.start("worker", "scheduler")

    check_end(breakable, lives, senders)


def test_with_both_down_nothing_is_claimed_to_be_stored(
    dark: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer
) -> None:
    lives = make_lives(60, seed=96)
    dark.start("receiver")
    own_redis.kill()

    senders = Senders(dark, lives.bodies, 8).start().join()
    to_store = storable_ids(lives.bodies)
    answers = [answer for answer in senders.answers if answer.event_id in to_store]
    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.retry_after or 0) > 0 for answer in answers)
    assert all(b"not stored" in answer.body for answer in answers)
    assert senders.acknowledged & to_store == set()

    own_redis.start()
    breakable_mariadb.start()
    dark.start("worker", "scheduler")
    again = Senders(dark, senders.left_out, 8, tries=20).start().join()
    assert again.left_out == []
    wait_drained(own_redis)  # a receiver whose breaker was still open spilled them

    check_end(dark, lives, again)


def test_a_database_killed_under_load_loses_nothing_that_was_acknowledged(
    breakable: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer
) -> None:
    lives = make_lives(600, seed=97)
    breakable.start("receiver", "worker", "scheduler")
    wait_started(breakable, "worker", "scheduler")

    senders = Senders(breakable, lives.bodies, 16, tries=40, pause_s=0.1).start()
    for _ in range(2):
        time.sleep(0.5)
        assert senders.is_busy, "all was delivered before the database died"
        breakable_mariadb.kill()
        time.sleep(0.3)
        breakable_mariadb.start()
    senders.pause_s = 0  # the rest at once
    senders.join()
    assert senders.left_out == []
    breakable.engine.dispose()
    wait_drained(own_redis)

    check_end(breakable, lives, senders)
