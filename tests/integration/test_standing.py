"""How the service stands, for Prometheus: counts and ages as they are, and never a 0 that nobody counted."""

import time
from collections.abc import Iterator

import pytest
import redis
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.bootstrap import open_standing
from payouts.clock import now_ms
from payouts.exposition import render_of
from payouts.holding import place
from payouts.holds import EVERYTHING, HoldKind
from payouts.ids import IdMaker
from payouts.settings import Settings
from payouts.states import EventStatus
from payouts.storage import inbox
from payouts.storage.check_rows import note_check
from tests.integration.test_storage import new_event
from tests.support.pulses import a_pulse
from tests.support.requests import actor
from tests.support.scraped import Samples, names_in, samples_of
from tests.support.servers import RedisServer
from workers.messages import QUEUES, Messages

NOWHERE = "redis://127.0.0.1:1/0"


def look(database_url: str, redis_url: str, **more: object) -> Samples:
    """One scrape."""
    at = Settings(database_url=database_url, redis_url=redis_url, **more)  # type: ignore[arg-type]
    engine, standing = open_standing(at, QUEUES)
    try:
        render = render_of([standing])
        render()  # begins to look; what is slow here is there at the second
        deadline_s = time.monotonic() + 30
        while True:
            samples = samples_of(render().decode())
            if samples["payouts_up", "database"] or "sqlite" not in database_url:
                return samples
            assert time.monotonic() < deadline_s
    finally:
        engine.dispose()


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client as made:
        yield made


def test_it_tells_what_waits_what_is_dead_and_what_is_on(
    shared_engine: Engine, redis_server: RedisServer, client: redis.Redis
) -> None:
    make_id = IdMaker(lambda: now_ms() - 90_000)
    with shared_engine.begin() as connection:
        new = [new_event(make_id(), "evt_old"), new_event(make_id(), "evt_dead")]
        old, dead = inbox.add_events(connection, new, make_id)
        connection.execute(
            sa.update(inbox.inbox).where(inbox.inbox.c.id == dead).values(status=EventStatus.DEAD)
        )
        note_check(connection, "transactions_sum_to_zero", 2, "two of them", make_id, now_ms() - 5_000)
        place(connection, HoldKind.KILL_SWITCH, EVERYTHING, actor("ada"), "because", IdMaker(), now_ms())
    a_pulse(client, "worker", "a:1").beat()
    Messages(client, "payouts").apply([old])
    client.xadd("payouts:spill", {"event": b"x"})

    found = look(url_of(shared_engine), redis_server.url, ledger_check_interval_s=60)

    assert (found["payouts_up", "database"], found["payouts_up", "redis"]) == (1, 1)
    assert 80 < found["payouts_oldest_age_seconds", "received", "events"] < 200
    assert found["payouts_oldest_age_seconds", "deferred", "events"] == 0
    assert (found["payouts_dead", "events"], found["payouts_dead", "notices"]) == (1, 0)
    assert found["payouts_invariant_violations", "transactions_sum_to_zero"] == 2
    assert found["payouts_invariants_check_interval_seconds",] == 60
    assert (found["payouts_mode", "stopped"], found["payouts_mode", "emergency"]) == (1, 0)
    assert found["payouts_mode_age_seconds", "stopped"] >= 0
    assert ("payouts_mode_age_seconds", "emergency") not in found
    assert (found["payouts_processes", "worker"], found["payouts_processes", "receiver"]) == (1, 0)
    assert found["payouts_queue_messages", "events", "waiting"] == 1
    assert found["payouts_spilled_events",] == 1
    assert 0 <= found["payouts_spilled_oldest_age_seconds",] < 60
    assert found["payouts_differences",] == 0
    assert found["payouts_requests", "unclear"] == found["payouts_payouts", "pending"] == 0
    assert 0 <= found["payouts_last_event_age_seconds",] < 200
    # Nothing that is not so is told: no key of Stripe's, so no walk is to come.
    assert ("payouts_walk_interval_seconds",) not in found


def test_what_does_not_answer_is_left_out_and_said_to_be_away(shared_engine: Engine) -> None:
    found = look(url_of(shared_engine), NOWHERE)

    assert (found["payouts_up", "database"], found["payouts_up", "redis"]) == (1, 0)
    assert ("payouts_dead", "events") in found
    of_redis = {"payouts_processes", "payouts_queue_messages", "payouts_spilled_events"}
    assert not of_redis & names_in(found)
    assert ("payouts_mode", "emergency") not in found
    assert ("payouts_look_age_seconds", "redis") not in found


def test_without_the_database_redis_still_tells(redis_server: RedisServer) -> None:
    found = look("mysql://nobody:x@127.0.0.1:1/none", redis_server.url)

    assert (found["payouts_up", "database"], found["payouts_up", "redis"]) == (0, 1)
    assert ("payouts_queue_messages", "events", "waiting") in found
    assert not {"payouts_dead", "payouts_requests", "payouts_oldest_age_seconds"} & names_in(found)
