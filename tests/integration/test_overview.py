"""The overview: what the processes really counted, what waits, who is there, and what is away."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
import redis
import sqlalchemy as sa
from sqlalchemy import Engine

from api.app import LIVE_PATH, make_app
from api.closing import Closing
from api.endpoint import Desk
from api.pool import Pool
from payouts.bootstrap import open_overviewer, open_worker
from payouts.clock import now_ms
from payouts.holding import place
from payouts.holds import EVERYTHING, HoldKind
from payouts.ids import IdMaker
from payouts.meters import StripeMeter
from payouts.overview import Overview
from payouts.settings import Settings
from payouts.states import EventStatus
from payouts.storage import inbox
from payouts.storage.engine import build_engine
from payouts.stores import open_redis
from payouts.vitals import Level, Vital
from tests.integration.test_storage import new_event
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.pulses import a_pulse, say
from tests.support.requests import actor
from tests.support.servers import RedisServer
from tests.support.stack import PATH, SECRET, signature
from webhooks.app import build_app
from workers.actors import Actors
from workers.messages import EVENTS_QUEUE, QUEUES, Messages

NOWHERE = "redis://127.0.0.1:1/0"
ROOMY = {"used_bytes": 10, "limit_bytes": 100}


def settings_on(engine: Engine, redis_url: str) -> Settings:
    url = engine.url.render_as_string(hide_password=False)
    return Settings(database_url=url, redis_url=redis_url, stripe_webhook_secret=SECRET)


def look(engine: Engine, redis_url: str, hours: int = 1) -> Overview:
    settings = settings_on(engine, redis_url)
    with open_redis(settings, 2) as client:
        return open_overviewer(settings, engine, client, QUEUES).look(hours)


def level_of(seen: Overview, vital: Vital) -> Level:
    return next(sign.level for sign in seen.signs if sign.vital == vital)


def test_the_receiver_counts_what_it_took_and_what_it_refused(
    tmp_path: Any, redis_server: RedisServer
) -> None:
    url = migrated_file(tmp_path / "payouts.db")
    app = build_app(Settings(database_url=url, redis_url=redis_server.url, stripe_webhook_secret=SECRET))
    bodies = [event_body(f"evt_{n}", "paid", payout_object(f"po_{n}", "paid")) for n in range(3)]

    async def deliver() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            posts = [(body, signature(body)) for body in bodies] + [(bodies[0], signature(b"another"))]
            await client.get("/api/health")  # a probe is none of the requests that are judged
            return [
                (await client.post(PATH, content=body, headers={"Stripe-Signature": signed})).status_code
                for body, signed in posts
            ]

    assert asyncio.run(deliver()) == [200, 200, 200, 400]
    engine = build_engine(url, timeout_s=5, pool_size=1)
    seen = look(engine, redis_server.url)
    engine.dispose()

    assert seen.redis is not None
    assert sum(each.received for each in seen.redis.minutes) == 3
    assert sum(each.refused for each in seen.redis.minutes) == 1
    answers = seen.answers["receiver"]
    assert (answers.requests, answers.errors, sum(answers.took.values())) == (4, 0, 4)
    assert level_of(seen, Vital.ERROR_RATE) == Level.NORMAL
    assert seen.redis.processes == []  # it ended


def test_a_worker_counts_what_came_of_events(shared_engine: Engine, redis_server: RedisServer) -> None:
    settings = settings_on(shared_engine, redis_server.url)
    broken = msgspec.structs.replace(
        new_event(3, "evt_broken"),
        payload=event_body("evt_broken", "paid", {"id": "po_x", "object": "payout"}),
    )
    with shared_engine.begin() as connection:
        events = [new_event(1, "evt_1"), new_event(2, "evt_2"), broken]
        ids = inbox.add_events(connection, events, IdMaker())
    with redis_server.client as client:
        parts = open_worker(settings, client)
        actors = Actors(parts, Messages(client, "payouts"), 500, log_events=False)
        actors._apply([ids])
        actors._apply([ids])  # a hint that comes twice
        pulse = a_pulse(client, "worker", "a:1")
        pulse.meters, pulse.engines = parts.meters, [parts.engine]
        pulse.beat()
        parts.engine.dispose()
        seen = look(shared_engine, redis_server.url)

    assert seen.redis is not None
    minutes = seen.redis.minutes
    counts = [sum(getattr(each, name) for each in minutes) for name in ("applied", "failed", "dead")]
    assert counts == [2, 1, 1]
    assert seen.database is not None
    assert seen.database.dead_events.count == 1
    (state,) = [each.state for each in seen.processes]
    assert state is not None
    assert (state.connections_used, state.connections_most) == (0, settings.database_pool_size)


def test_the_api_counts_its_answers_but_not_its_probes(tmp_path: Any) -> None:
    engine = build_engine(migrated_file(tmp_path / "payouts.db"), timeout_s=5, pool_size=1)
    desk = Desk(engine, Pool(1), lambda _: None, now_ms, IdMaker(), Closing(engine))
    app = make_app(desk)

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [
                (await client.get(path)).status_code for path in (LIVE_PATH, "/api/v1/payouts", "/nowhere")
            ]

    assert asyncio.run(ask()) == [200, 401, 404]
    desk.pool.close()
    engine.dispose()

    counted = {key[2]: n for key, n in desk.meter.totals().items() if key[0] == "answers" and n}
    assert counted == {"4xx": 2}


def test_all_is_normal_where_all_is_there_and_roomy(shared_engine: Engine, redis_server: RedisServer) -> None:
    with redis_server.client as client:
        for role in ("receiver", "worker", "scheduler"):
            say(client, role, "host:1", connections_used=0, connections_open=1, connections_most=5, **ROOMY)

    seen = look(shared_engine, redis_server.url)

    assert (seen.level, seen.missing) == (Level.NORMAL, [])
    assert {each.name: each.answers for each in seen.dependencies} == {
        "database": True,
        "redis": True,
        "stripe": None,
    }
    parts = next(sign.parts for sign in seen.signs if sign.vital == Vital.DATABASE_CONNECTIONS)
    if shared_engine.dialect.name == "sqlite":
        assert [(part.name, part.text) for part in parts] == [("pools", "0 of 15 in our pools in use")]
    else:
        assert [part.name for part in parts] == ["server"]
        assert parts[0].value > 0


def test_one_full_machine_or_a_missing_role_is_critical(
    shared_engine: Engine, redis_server: RedisServer
) -> None:
    with redis_server.client as client:
        say(client, "receiver", "roomy:1", **ROOMY)
        say(client, "worker", "full:1", used_bytes=90, limit_bytes=100)
    seen = look(shared_engine, redis_server.url)

    assert seen.missing == ["scheduler"]
    assert level_of(seen, Vital.MEMORY) == Level.CRITICAL
    assert seen.level == Level.CRITICAL


def test_what_is_away_is_told_and_hides_nothing_else(
    shared_engine: Engine, redis_server: RedisServer
) -> None:
    with redis_server.client as client:
        say(client, "worker", "host:1", **ROOMY)
    nobody = build_engine("mysql://nobody:hush@127.0.0.1:1/none", timeout_s=1, pool_size=1)

    no_redis, no_database = look(shared_engine, NOWHERE), look(nobody, redis_server.url)

    assert (no_redis.level, no_redis.redis, no_redis.missing) == (Level.CRITICAL, None, [])
    assert no_redis.database is not None
    assert level_of(no_redis, Vital.MEMORY) == Level.UNKNOWN
    assert (no_database.level, no_database.database) == (Level.CRITICAL, None)
    assert [each.seen.role for each in no_database.processes] == ["worker"]
    assert [each.name for each in no_database.dependencies if each.answers is False] == ["database"]
    assert "hush" not in repr(no_database)


def test_what_waits_is_stopped_or_dead_is_told(shared_engine: Engine, redis_server: RedisServer) -> None:
    at_ms = now_ms()
    make_id = IdMaker()
    with shared_engine.begin() as connection:
        inbox.add_events(connection, [new_event(make_id(), "evt_1")], make_id)
        place(connection, HoldKind.KILL_SWITCH, EVERYTHING, actor("anna"), "odd transfers", make_id, at_ms)
    with redis_server.client as client:
        messages = Messages(client, "payouts")
        messages.apply([1])
        messages.apply_later(2, 60_000)
    seen = look(shared_engine, redis_server.url)

    assert seen.database is not None
    (waiting,) = seen.database.events
    assert (waiting.status, abs(waiting.since_ms - at_ms) < 60_000) == (EventStatus.RECEIVED, True)
    assert [(hold.kind, hold.reason) for hold in seen.database.holds] == [("kill_switch", "odd transfers")]
    assert seen.redis is not None
    depths = {each.name: (each.waiting, each.held, each.delayed) for each in seen.redis.queues}
    assert depths[EVENTS_QUEUE] == (1, 0, 1)


def test_calls_to_stripe_that_all_fail_are_a_warning(
    shared_engine: Engine, redis_server: RedisServer
) -> None:
    stripe = StripeMeter()
    with redis_server.client as client:
        pulse = a_pulse(client, "worker", "a:1", now_ms, stripe)
        stripe.called("read", "failed", 0.5)
        stripe.called("write", "failed", 1.5)
        pulse.beat()
        (failing,) = [
            each for each in look(shared_engine, redis_server.url).dependencies if each.name == "stripe"
        ]
        stripe.called("read", "refused", 0.1)
        pulse.beat()
        (answering,) = [
            each for each in look(shared_engine, redis_server.url).dependencies if each.name == "stripe"
        ]

    assert (failing.level, failing.latency_ms, failing.text) == (Level.WARNING, 1_000, "2 failed")
    assert answering.level == Level.NORMAL


def trips(engine: Engine, redis_url: str, do: Callable[[], object]) -> tuple[int, int]:
    """How many statements and how many trips to Redis `do` takes."""
    statements: list[str] = []
    sent: list[int] = []
    before = redis.client.Pipeline.execute

    def execute(self: Any, *args: Any, **words: Any) -> Any:
        sent.append(1)
        return before(self, *args, **words)

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis.client.Pipeline, "execute", execute)
        do()
    sa.event.remove(engine, "before_cursor_execute", note)
    return len(statements), len(sent)


def test_the_look_takes_as_many_trips_whatever_there_is(
    shared_engine: Engine, redis_server: RedisServer
) -> None:
    make_id = IdMaker()

    def ask() -> tuple[int, int]:
        return trips(shared_engine, redis_server.url, lambda: look(shared_engine, redis_server.url, 48))

    few = ask()
    with shared_engine.begin() as connection:
        inbox.add_events(connection, [new_event(make_id(), f"evt_{n}") for n in range(300)], make_id)
    with redis_server.client as client:
        for number in range(200):
            say(client, "worker", f"host:{number}", **ROOMY)

    assert ask() == few
    assert few[0] <= 25
    assert few[1] == 2
