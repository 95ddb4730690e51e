"""What processes count and say of themselves meets in Redis, and a Redis that is away costs nothing."""

import asyncio
import dataclasses
import time
from typing import Any

import pytest
import redis

from payouts.clock import now_ms
from payouts.memory import read_memory
from payouts.meters import EVENTS, Counter, Key
from payouts.pulse import beating
from payouts.storage.minutes import KEPT_S, MINUTE_MS, Minutes
from payouts.storage.presence import STATE_KEPT_S
from payouts.storage.redis_view import RedisView, redis_view
from tests.support.pulses import a_pulse
from tests.support.servers import RedisServer, wait_until

QUEUES = ("events", "lookups")
NOON_MS = 1_790_000_000_000 // MINUTE_MS * MINUTE_MS


def view(
    client: redis.Redis, at_ms: int = NOON_MS, hours: int = 1, minutes: Minutes | None = None
) -> RedisView:
    return redis_view(client, "payouts", QUEUES, hours, 5, lambda: at_ms, minutes)


def counted(seen: RedisView) -> dict[int, dict[Key, int]]:
    """The minutes with a count, by how many minutes they began before noon."""
    return {(each.at_ms - NOON_MS) // MINUTE_MS: dict(each.counts) for each in seen.minutes if each.counts}


def test_counts_of_all_processes_meet_in_their_minute(redis_server: RedisServer) -> None:
    first, second = Counter(EVENTS), Counter(EVENTS)
    with redis_server.client as client:
        here = [
            a_pulse(client, "worker", f"a:{n}", lambda: NOON_MS, each)
            for n, each in enumerate([first, second])
        ]
        early = a_pulse(client, "worker", "a:3", lambda: NOON_MS - 30 * MINUTE_MS, first)
        first.add({("applied",): 2})
        early.beat()
        here[0].beat()
        second.add({("applied",): 3, ("dead",): 1})
        here[1].beat()
        here[1].beat()  # nothing new: nothing is added
        seen = view(client)

        assert counted(seen) == {
            -30: {(EVENTS, "applied"): 2},
            0: {(EVENTS, "applied"): 5, (EVENTS, "dead"): 1},
        }
        assert (len(seen.minutes), seen.minutes[-1].failed, seen.minutes[-1].dead) == (60, 1, 1)
        assert seen.window == {(EVENTS, "applied"): 5, (EVENTS, "dead"): 1}
        # All of it ends by itself.
        assert 0 < client.ttl(f"payouts:minute:{NOON_MS // MINUTE_MS}") <= KEPT_S
        assert 0 < client.ttl("payouts:process:worker a:1") <= STATE_KEPT_S


def test_minutes_that_can_change_no_more_are_asked_for_once(redis_server: RedisServer) -> None:
    events, minutes = Counter(EVENTS), Minutes("payouts")

    def at(at_ms: int, hours: int, asked_at_most: int) -> None:
        """As somebody sees it who never looked before, by fewer questions."""
        asked = hmgets(client)
        seen = view(client, at_ms, hours, minutes)
        assert hmgets(client) - asked <= asked_at_most
        assert seen == dataclasses.replace(view(client, at_ms, hours), latency_ms=seen.latency_ms)

    with redis_server.client as client:
        for ago in (170, 40, 8, 0):
            pulse = a_pulse(client, "worker", "a:1", lambda ago=ago: NOON_MS - ago * MINUTE_MS, events)
            events.add({("applied",): ago + 1})
            pulse.beat()
        at(NOON_MS, 1, 60)
        at(NOON_MS, 1, 10)
        at(NOON_MS, 3, 130)
        # What runs is counted on, and what ran lately may be too.
        for late in (0, 3):
            pulse = a_pulse(client, "worker", "a:2", lambda late=late: NOON_MS - late * MINUTE_MS, events)
            events.add({("applied",): 5})
            pulse.beat()
        at(NOON_MS + 2 * MINUTE_MS, 3, 10)
        at(NOON_MS + 300 * MINUTE_MS, 3, 180)
        at(NOON_MS - 300 * MINUTE_MS, 3, 180)  # a clock that was set back


def hmgets(client: redis.Redis) -> int:
    stats: Any = client.info("commandstats")
    return int(stats.get("cmdstat_hmget", {}).get("calls", 0))


def test_a_redis_that_was_wiped_knows_processes_and_new_counts_at_the_next_beat(
    redis_server: RedisServer,
) -> None:
    events = Counter(EVENTS)
    with redis_server.client as client:
        pulse = a_pulse(client, "receiver", "a:1", lambda: NOON_MS, events)
        events.add({("applied",): 5})
        pulse.beat()

        client.flushall()
        assert counted(view(client)) == {}
        events.add({("applied",): 2})
        pulse.beat()
        seen = view(client)

    assert counted(seen) == {0: {(EVENTS, "applied"): 2}}
    assert [(each.seen.role, each.seen.name, each.here) for each in seen.processes] == [
        ("receiver", "a:1", True)
    ]


def test_counts_of_a_time_without_redis_are_a_gap_and_hold_up_nobody(own_redis: RedisServer) -> None:
    events = Counter(EVENTS)
    with redis.Redis.from_url(
        own_redis.url, socket_timeout=0.3, socket_connect_timeout=0.3, retry=None
    ) as client:
        pulse = a_pulse(client, "worker", "a:1", lambda: NOON_MS, events)

        client.ping()  # connected before, so that what is sent arrives
        own_redis.freeze()
        events.add({("applied",): 5})
        began_s = time.monotonic()
        pulse.beat()
        assert time.monotonic() - began_s < 2
        own_redis.thaw()
        # What timed out had arrived: it counts, and is not sent a second time.
        wait_until("what had arrived is counted", lambda: counted(view(client)))
        pulse.beat()
        assert counted(view(client)) == {0: {(EVENTS, "applied"): 5}}

        own_redis.kill()
        events.add({("applied",): 3})
        pulse.beat()
        own_redis.start()
        events.add({("applied",): 1})
        pulse.beat()
        assert counted(view(client)) == {0: {(EVENTS, "applied"): 6}}


def test_a_process_says_how_it_is_until_it_ends(redis_server: RedisServer) -> None:
    events = Counter(EVENTS)
    with redis_server.client as client:
        pulse = a_pulse(client, "api", "host:7", now_ms, events)
        pulse.beat()
        (process,) = view(client, now_ms()).processes
        assert process.state is not None
        assert process.state.resident_bytes
        assert process.state.started_at_ms <= process.seen.at_ms

        (silent,) = view(client, now_ms() + 31_000).processes
        assert not silent.here

        events.add({("applied",): 1})
        pulse.end()
        ended = view(client, now_ms())
        assert ended.processes == []
        assert ended.window == {(EVENTS, "applied"): 1}


def test_what_another_version_says_of_itself_is_no_error(redis_server: RedisServer) -> None:
    with redis_server.client as client:
        a_pulse(client, "worker", "a:1").beat()
        client.set("payouts:process:worker a:1", b'{"version": 7}')

        (process,) = view(client, now_ms()).processes

        assert (process.here, process.state) == (True, None)


def test_a_server_beats_while_its_loop_runs_and_leaves_at_its_end(redis_server: RedisServer) -> None:
    with redis_server.client as client:
        pulse = a_pulse(client, "receiver", "a:1")

        async def serve() -> list[Any]:
            async with beating(pulse):
                await asyncio.to_thread(wait_until, "it is seen", lambda: view(client, now_ms()).processes, 5)
                return list(view(client, now_ms()).processes)

        here = asyncio.run(asyncio.wait_for(serve(), 10))

        assert [each.seen.role for each in here] == ["receiver"]
        assert view(client, now_ms()).processes == []


def test_a_beat_that_fails_unexpectedly_is_not_the_last_one(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payouts.pulse.EVERY_S", 0.01)
    with redis_server.client as client:
        pulse = a_pulse(client, "receiver", "a:1")
        fails = [ValueError("what the kernel says does not read"), None]

        def look() -> Any:
            if error := fails.pop(0) if len(fails) > 1 else fails[0]:
                raise error
            return read_memory()

        monkeypatch.setattr("payouts.pulse.read_memory", look)

        async def serve() -> None:
            async with beating(pulse):
                await asyncio.to_thread(wait_until, "it is seen", lambda: view(client, now_ms()).processes)

        asyncio.run(serve())
