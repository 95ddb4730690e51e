"""The table is the truth and the queue a hint: workers killed at any moment, a Redis wiped or killed under
load, and every payout still ends as it must, each event applied once."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lives import Lives, make_lives
from tests.support.senders import Senders, check_applied_once, check_kept, wait_started
from tests.support.servers import RedisServer
from tests.support.stack import Stack, check_promises


@pytest.fixture
def on_own_redis(tmp_path: Path, mariadb_url: str, own_redis: RedisServer) -> Iterator[Stack]:
    with Stack(tmp_path, mariadb_url, own_redis.url) as made:
        yield made


def begin_load(stack: Stack, lives: Lives) -> Senders:
    stack.start("receiver", "worker", "worker:2", "scheduler")
    wait_started(stack, "worker", "worker:2", "scheduler")
    return Senders(stack, lives.bodies, 16, tries=40, pause_s=0.02).start()


def check_end(stack: Stack, lives: Lives, senders: Senders) -> None:
    senders.join()
    assert senders.left_out == []
    check_kept(stack, senders.acknowledged, lives.bodies)
    stack.wait_applied(60)
    check_promises(stack, lives.expected, lives.bodies)
    check_applied_once(stack)


def test_workers_killed_at_any_moment_lose_and_double_nothing(on_own_redis: Stack) -> None:
    rng = random.Random()
    lives = make_lives(800, seed=111)
    senders = begin_load(on_own_redis, lives)

    for turn in range(5):
        time.sleep(rng.uniform(0.05, 0.4))
        name = ("worker", "worker:2")[turn % 2]
        on_own_redis.kill(name)
        on_own_redis.start(name)
    assert senders.is_busy, "all was delivered before the last kill"

    check_end(on_own_redis, lives, senders)


def test_a_redis_wiped_under_load_loses_no_event(on_own_redis: Stack, own_redis: RedisServer) -> None:
    lives = make_lives(700, seed=112)
    senders = begin_load(on_own_redis, lives)

    for _ in range(4):
        time.sleep(0.3)
        own_redis.client.flushall()
    assert senders.is_busy, "all was delivered before the last wipe"

    check_end(on_own_redis, lives, senders)
    assert set(senders.statuses) == {200}


def test_a_redis_killed_under_load_is_not_missed(on_own_redis: Stack, own_redis: RedisServer) -> None:
    lives = make_lives(700, seed=113)
    senders = begin_load(on_own_redis, lives)

    for _ in range(2):
        time.sleep(0.4)
        own_redis.kill()
        time.sleep(0.3)
        own_redis.start()
    assert senders.is_busy, "all was delivered before the last kill"

    check_end(on_own_redis, lives, senders)
    assert set(senders.statuses) == {200}
    assert senders.slowest_s < 1.5
    for name in ("worker", "worker:2", "scheduler"):
        assert on_own_redis.is_running(name)
