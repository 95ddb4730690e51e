"""The doctor against real servers and the sandbox: what is set wrongly there is found, and read rightly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.clock import now_ms
from payouts.doctor.database import Pools
from payouts.doctor.diagnosing import diagnose
from payouts.doctor.examining import Doctor
from payouts.doctor.finding import Check, Finding, Level
from payouts.gateway import API_VERSION, NoGateway, StripeGateway
from payouts.handled import HANDLED_CONNECT_TYPES, HANDLED_PLATFORM_TYPES
from payouts.ids import IdMaker
from payouts.notices import NoticeStatus
from payouts.sdk_gateway import SdkGateway
from payouts.settings import Settings
from payouts.states import EventStatus
from payouts.storage import inbox
from payouts.storage.engine import build_engine
from payouts.storage.presence import Presence
from payouts.storage.spill import Spill
from tests.integration.test_storage import new_event
from tests.support.pulses import a_pulse
from tests.support.requests import a_partner, a_request, keep, migrated
from tests.support.sandbox import KEY, Sandbox, sandbox_here
from tests.support.servers import RedisServer, SqlServer

SECRETS = {
    "stripe_webhook_secret": "whsec_4Hn2kPq8sT1vWx5yZb7cDf9gJm3rLoA6",
    "stripe_connect_webhook_secret": "whsec_Z9y8X7w6V5u4T3s2R1q0P9o8N7m6L5k4",
}
URL = "http://127.0.0.1:9/api/webhooks/stripe"
NOWHERE = "redis://127.0.0.1:1/0"
HOUR_MS = 3_600_000


def doctor(
    engine: Engine, redis_url: str = NOWHERE, gateway: StripeGateway | None = None, **settings: Any
) -> Doctor:
    made = Settings(database_url="sqlite://", redis_url=redis_url, **{**SECRETS, **settings})
    client = redis.Redis.from_url(redis_url, socket_timeout=5, retry=None)
    return Doctor(made, engine, client, gateway or NoGateway(), Pools(3, 5), dict, now_ms)


def wrong(found: list[Finding]) -> list[tuple[Check, Level]]:
    assert all(each.remedy for each in found if each.level != Level.OK)
    return [(each.check, each.level) for each in found if each.level != Level.OK]


@pytest.fixture
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Engine]:
    """A migrated database of each kind, on a server that is durable."""
    if database_url.startswith("sqlite"):
        with migrated(database_url) as made:
            yield made
        return
    server: SqlServer = request.getfixturevalue("_mysql" if database_url.startswith("mysql") else "mariadb")
    with durable(server), migrated(database_url) as made:
        yield made


@contextmanager
def durable(server: SqlServer) -> Iterator[SqlServer]:
    """The server of all tests, which is not durable as a rule, while it is."""
    with server.connect() as admin, admin.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")
        (before,) = cursor.fetchone() or ()
        cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        try:
            yield server
        finally:
            cursor.execute(f"SET GLOBAL innodb_flush_log_at_trx_commit = {before}")


@pytest.fixture
def durable_mariadb(mariadb: SqlServer) -> Iterator[SqlServer]:
    with durable(mariadb) as server:
        yield server


@pytest.fixture
def no_database() -> Engine:
    return build_engine("sqlite://", timeout_s=1, pool_size=1)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with sandbox_here() as running:
        yield running


@pytest.fixture
def endpoints(sandbox: Sandbox) -> Iterator[Any]:
    """The sandbox's endpoints, two as they should be among them; none is left behind."""
    made = sandbox.client().v1.webhook_endpoints
    kinds = ((False, HANDLED_PLATFORM_TYPES), (True, HANDLED_CONNECT_TYPES))
    for connect, types in kinds:
        made.create(
            {"url": URL, "enabled_events": list(types), "connect": connect, "api_version": API_VERSION}
        )
    yield made
    for each in made.list({"limit": 100}).data:
        made.delete(each.id)


def at_stripe(sandbox: Sandbox, engine: Engine, **settings: Any) -> list[tuple[Check, Level]]:
    return wrong(doctor(engine, gateway=SdkGateway(KEY, sandbox.url), **settings).endpoints())


def test_endpoints_as_they_should_be_are_read_as_such(
    sandbox: Sandbox, endpoints: Any, no_database: Engine
) -> None:
    found = doctor(no_database, gateway=SdkGateway(KEY, sandbox.url)).endpoints()
    assert wrong(found) == []
    assert found[-1].check == Check.CLOCK_STRIPE


def test_each_fault_of_an_endpoint_is_found_at_stripe(
    sandbox: Sandbox, endpoints: Any, no_database: Engine
) -> None:
    (platform,) = [each for each in endpoints.list().data if each.application is None]
    endpoints.update(platform.id, {"disabled": True})
    assert at_stripe(sandbox, no_database) == [
        (Check.ENDPOINT_STATUS, Level.BAD),
        (Check.ENDPOINT_KINDS, Level.BAD),
    ]
    endpoints.update(platform.id, {"disabled": False, "enabled_events": ["payout.paid", "charge.failed"]})
    assert at_stripe(sandbox, no_database) == [
        (Check.ENDPOINT_EVENTS, Level.BAD),
        (Check.ENDPOINT_IGNORED, Level.WARNING),
    ]
    endpoints.update(platform.id, {"enabled_events": ["*"]})
    endpoints.create({"url": URL, "enabled_events": ["*"], "api_version": "2025-03-31.basil"})
    assert at_stripe(sandbox, no_database) == [
        (Check.ENDPOINT_DUPLICATES, Level.WARNING),
        (Check.ENDPOINT_VERSION, Level.BAD),
        (Check.ENDPOINT_SECRETS, Level.BAD),
    ]
    elsewhere = "https://elsewhere.example/hooks"
    assert (Check.ENDPOINT_URL, Level.BAD) in at_stripe(sandbox, no_database, public_webhook_url=elsewhere)


def test_without_any_endpoint_nothing_comes(sandbox: Sandbox, no_database: Engine) -> None:
    nothing = (Check.ENDPOINT_KINDS, Level.BAD)
    assert at_stripe(sandbox, no_database) == [nothing, nothing]


def of_redis(server: RedisServer, engine: Engine, spill: str = "auto") -> list[tuple[Check, Level]]:
    return wrong(doctor(engine, server.url, redis_spill=spill).redis_server())


def test_a_redis_is_judged_by_its_own_configuration(own_redis: RedisServer, no_database: Engine) -> None:
    assert of_redis(own_redis, no_database) == []
    with own_redis.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert of_redis(own_redis, no_database) == [(Check.REDIS_KEEPS, Level.BAD)]
        assert of_redis(own_redis, no_database, "off") == []
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
        assert of_redis(own_redis, no_database) == [(Check.REDIS_MEMORY, Level.WARNING)]
        client.config_set("maxmemory", 0)
        client.config_set("appendonly", "no")
        assert of_redis(own_redis, no_database) == [(Check.REDIS_KEEPS, Level.BAD)]


def test_a_hosted_redis_that_hides_its_configuration_needs_somebody_to_vouch_for_it(
    own_redis: RedisServer, no_database: Engine
) -> None:
    with own_redis.client as client:
        client.execute_command("ACL", "SETUSER", "guest", "on", ">pw", "~*", "&*", "+@all", "-config")
    url = own_redis.url.replace("127.0.0.1", "guest:pw@127.0.0.1")
    (found,) = [each for each in doctor(no_database, url).redis_server() if each.check == Check.REDIS_KEEPS]
    assert found.level == Level.UNKNOWN
    assert "REDIS_SPILL=trusted" in found.remedy
    assert wrong(doctor(no_database, url, redis_spill="trusted").redis_server()) == []


def test_looking_at_a_redis_changes_nothing_in_it(redis_server: RedisServer, no_database: Engine) -> None:
    asked = doctor(no_database, redis_server.url)
    found = [*asked.redis_server(), *asked.redis_clock(), *asked.spilled()]
    assert wrong(found) == []
    assert redis_server.client.keys() == []


def test_spilled_events_that_wait_for_long_are_found(redis_server: RedisServer, no_database: Engine) -> None:
    asked = doctor(no_database, redis_server.url)
    with redis_server.client as client:
        Spill(client, "auto", "payouts").append([new_event(1, "evt_1")])
        assert wrong(asked.spilled()) == []
        client.xtrim("payouts:spill", maxlen=0)
        client.xadd("payouts:spill:refused", {"event": "x"})
        assert wrong(asked.spilled()) == [(Check.REDIS_SPILLED, Level.BAD)]
        client.delete("payouts:spill", "payouts:spill:refused")
        client.xadd("payouts:spill", {"event": "x"}, id=f"{now_ms() - HOUR_MS}-0")
        assert wrong(asked.spilled()) == [(Check.REDIS_SPILLED, Level.BAD)]


def test_processes_are_there_until_they_leave_or_fall_silent(
    redis_server: RedisServer, no_database: Engine
) -> None:
    asked = doctor(no_database, redis_server.url)
    no_worker, no_scheduler = (Check.PROCESS_WORKER, Level.BAD), (Check.PROCESS_SCHEDULER, Level.BAD)
    assert wrong(asked.processes()) == [no_worker, no_scheduler]
    with redis_server.client as client:
        here = Presence(client, "payouts", now_ms)
        a_pulse(client, "worker", "a:1").beat()
        a_pulse(client, "scheduler", "a:2", lambda: now_ms() - 120_000).beat()
        assert wrong(asked.processes()) == [no_scheduler]
        a_pulse(client, "scheduler", "a:2").beat()
        assert wrong(asked.processes()) == []
        a_pulse(client, "worker", "a:1").end()
        assert wrong(asked.processes()) == [no_worker]
        # What ended more than a day ago is forgotten.
        a_pulse(client, "worker", "b:1", lambda: now_ms() + 25 * HOUR_MS).beat()
        assert [each.name for each in here.seen()] == ["b:1"]


def test_a_redis_that_is_away_fails_no_worker_that_says_it_is_there() -> None:
    with redis.Redis.from_url(NOWHERE, socket_timeout=1, retry=None) as client:
        a_pulse(client, "worker", "a:1").beat()


def test_a_new_database_is_fine_waits_for_nothing_and_has_heard_nothing(engine: Engine) -> None:
    asked = doctor(engine)
    found = [*asked.database(), *asked.migrations(), *asked.database_clock()]
    assert wrong([*found, *asked.events(), *asked.requests(), *asked.notices()]) == []
    assert wrong([*asked.received(), *asked.secret_use()]) == [
        (Check.WATERMARK_RECEIVED, Level.WARNING),
        (Check.SECRET_USE, Level.WARNING),
    ]
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert wrong(asked.migrations()) == [(Check.MIGRATIONS, Level.BAD)]


def test_a_database_without_tables_is_bad(bare_database_url: str) -> None:
    empty = build_engine(bare_database_url, timeout_s=10, pool_size=1)
    assert wrong(doctor(empty).migrations()) == [(Check.MIGRATIONS, Level.BAD)]
    empty.dispose()


@pytest.mark.parametrize(
    ("setting", "value", "check", "level"),
    [
        ("innodb_flush_log_at_trx_commit", "0", Check.DATABASE_DURABLE, Level.WARNING),
        ("max_connections", "20", Check.DATABASE_CONNECTIONS, Level.BAD),
        ("max_allowed_packet", "1048576", Check.DATABASE_PACKET, Level.BAD),
    ],
)
def test_each_wrong_setting_of_a_mariadb_is_found(
    durable_mariadb: SqlServer, setting: str, value: str, check: Check, level: Level
) -> None:
    admin = durable_mariadb.connect()
    with admin.cursor() as cursor:
        cursor.execute(f"SELECT @@GLOBAL.{setting}")
        (before,) = cursor.fetchone() or ()
        cursor.execute(f"SET GLOBAL {setting} = {value}")
        try:
            engine = build_engine(durable_mariadb.new_database(), timeout_s=10, pool_size=1)
            found = wrong(doctor(engine).database())
            engine.dispose()
        finally:
            cursor.execute(f"SET GLOBAL {setting} = {before}")
    admin.close()
    assert found == [(check, level)]


def test_sessions_that_a_server_changes_are_found(durable_mariadb: SqlServer) -> None:
    engine = build_engine(durable_mariadb.new_database(), timeout_s=10, pool_size=1)

    @sa.event.listens_for(engine, "connect")
    def _meddle(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode='', character_set_connection='latin1'")

    other = engine.execution_options(isolation_level="REPEATABLE READ")
    assert wrong(doctor(other).database()) == [
        (Check.DATABASE_ISOLATION, Level.BAD),
        (Check.DATABASE_STRICT, Level.BAD),
        (Check.DATABASE_CHARACTERS, Level.BAD),
    ]
    engine.dispose()


def test_what_waits_and_what_is_dead_is_read_from_the_tables(engine: Engine) -> None:
    at_ms = now_ms()
    long_ago = IdMaker(lambda: at_ms - 30 * HOUR_MS)
    with engine.begin() as connection:
        inbox.add_events(
            connection,
            [
                new_event(long_ago(), f"evt_{status}", received_at_ms=at_ms - 30 * HOUR_MS)
                for status in ("received", "retrying", "deferred", "dead")
            ],
            long_ago,
        )
        for status in (EventStatus.RETRYING, EventStatus.DEFERRED, EventStatus.DEAD):
            connection.execute(
                sa.text("UPDATE inbox SET status = :s, due_at_ms = :due, reason = :r WHERE event_id = :e"),
                {"s": status, "due": at_ms + 1_000, "e": f"evt_{status}", "r": "waits for Stripe"},
            )
        partner = a_partner()
        late = a_request(partner, due_at_ms=at_ms - 2 * HOUR_MS)
        keep(connection, partner, late, a_request(partner, due_at_ms=at_ms + HOUR_MS))
        notice = {"account": "platform", "name": "alert.x", "body": "{}"}
        for status in (NoticeStatus.PENDING, NoticeStatus.DEAD, NoticeStatus.DELIVERED):
            values = {"dedupe_key": status, "status": status, "due_at_ms": at_ms - 2 * HOUR_MS}
            connection.execute(
                sa.text(
                    "INSERT INTO outbox (id, account, name, dedupe_key, body, status, due_at_ms, "
                    "created_at_ms) VALUES (:id, :account, :name, :dedupe_key, :body, :status, :due_at_ms, "
                    ":due_at_ms)"
                ),
                {"id": long_ago(), **notice, **values},
            )
    asked = doctor(engine)
    events = asked.events()
    assert wrong(events) == [
        (Check.EVENTS_WAITING, Level.BAD),
        (Check.EVENTS_WAITING, Level.WARNING),
        (Check.EVENTS_WAITING, Level.WARNING),
        (Check.EVENTS_DEAD, Level.WARNING),
    ]
    assert "waits for Stripe" in events[2].text
    assert "dead events: 1, the oldest for 30 h" in events[3].text
    assert wrong(asked.requests()) == [(Check.REQUESTS, Level.BAD)]
    assert wrong(asked.notices()) == [(Check.NOTICES_WAITING, Level.BAD), (Check.NOTICES_DEAD, Level.WARNING)]
    assert wrong(asked.received()) == [(Check.WATERMARK_RECEIVED, Level.WARNING)]


def test_with_everything_away_each_examination_says_so_and_no_more() -> None:
    engine = build_engine("mysql://nobody@127.0.0.1:1/none", timeout_s=1, pool_size=5)
    found = list(diagnose(doctor(engine).examinations()))
    unknown = [each.check for each in found if each.level == Level.UNKNOWN]
    assert unknown == [
        *(Check.SECRET_USE, Check.ENDPOINTS, Check.CLOCK_DATABASE, Check.CLOCK_REDIS, Check.REDIS),
        *(Check.REDIS_SPILLED, Check.DATABASE, Check.MIGRATIONS, Check.EVENTS, Check.REQUESTS),
        *(Check.NOTICES, Check.RECOVERY, Check.PROCESSES, Check.WATERMARK, Check.WATERMARK_CAUGHT_UP),
    ]
    assert all(each.remedy for each in found if each.level == Level.UNKNOWN)
