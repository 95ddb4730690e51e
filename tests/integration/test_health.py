"""How each server says that it is, with stores that are there, away, and not as they should be."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
import sqlalchemy as sa
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.testclient import TestClient

import api.app
import webhooks.app
from payouts.clock import now_ms
from payouts.health_checks import HealthAsks
from payouts.ids import IdMaker
from payouts.meters import Meters, StripeMeter
from payouts.provider_health import provider_health
from payouts.settings import Settings
from payouts.storage import inbox
from payouts.storage.bulk import insert_rows
from payouts.storage.engine import build_engine
from payouts.storage.notice_tables import notice_deliveries
from tests.integration.test_storage import new_event
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.pulses import a_pulse
from tests.support.servers import RedisServer
from tests.support.site import Site
from tests.support.stack import PATH, signature

NOWHERE = "redis://127.0.0.1:1/0"
CHECKS = ["database", "redis", "auth", "email", "stripe", "queue"]
MINUTE_MS = 60_000


def settings_for(url: str, redis_url: str, **more: Any) -> Settings:
    return Settings(
        database_url=url,
        redis_url=redis_url,
        stripe_webhook_secret="whsec_x",
        environment="production",
        **more,
    )


@contextmanager
def serving(app: Starlette) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("build", [webhooks.app.build_app, api.app.build_app], ids=["receiver", "api"])
def test_a_server_tells_of_all_that_it_needs(
    build: Callable[[Settings], Starlette], tmp_path: Path, redis_server: RedisServer
) -> None:
    url = migrated_file(tmp_path / "payouts.db")
    with serving(build(settings_for(url, redis_server.url))) as client:
        answer, head = client.get("/api/health"), client.head("/api/health")
        assert (answer.status_code, head.status_code, head.content) == (200, 200, b"")
        said = answer.json()
        assert list(said) == ["status", "timestamp", "version", "environment", "uptime", "checks"]
        assert (said["status"], said["environment"], list(said["checks"])) == (
            "healthy",
            "production",
            CHECKS,
        )
        assert {each["status"] for each in said["checks"].values()} == {"pass"}
        assert all(isinstance(said["checks"][name]["latency"], int) for name in ("database", "redis"))
        assert client.get("/api/ready").json() == {"status": "ready"}
        assert client.get("/api/live").json()["status"] == "live"


def test_a_receiver_without_redis_is_degraded_and_without_both_unhealthy(tmp_path: Path) -> None:
    url = migrated_file(tmp_path / "payouts.db")
    with serving(webhooks.app.build_app(settings_for(url, NOWHERE))) as client:
        answer = client.get("/api/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["checks"]["redis"] == {"status": "fail", "note": "Redis does not answer"}
        assert client.get("/api/ready").status_code == 200
    away = "mysql://nobody:secret@127.0.0.1:1/none"
    with serving(webhooks.app.build_app(settings_for(away, NOWHERE))) as client:
        answer = client.get("/api/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        database = answer.json()["checks"]["database"]
        assert database["note"] == "the database refuses connections: nothing listens there"
        assert answer.json()["checks"]["queue"]["status"] == "warn"
        assert "secret" not in answer.text
        assert client.get("/api/live").status_code == 200
        assert client.get("/api/ready").json() == {"status": "starting"}


def test_an_open_breaker_is_told_and_leaves_the_receiver_ready(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    (file := tmp_path / "payouts.db").mkdir()  # where no file can be opened
    with serving(webhooks.app.build_app(settings_for(f"sqlite:///{file}", redis_server.url))) as client:
        body = event_body("evt_1", "paid", payout_object("po_1", "paid"))
        client.post(PATH, content=body, headers={"Stripe-Signature": signature(body, "whsec_x")})
        answer = client.get("/api/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "events go to Redis" in answer.json()["checks"]["database"]["note"]
        assert client.get("/api/ready").status_code == 200


def test_a_database_that_hangs_holds_the_answer_up_no_longer_than_its_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        url = f"mysql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        with serving(api.app.build_app(settings_for(url, NOWHERE))) as client:
            answer = client.get("/api/health")
            assert (answer.status_code, answer.json()["checks"]["database"]["status"]) == (503, "fail")


def test_the_console_is_asked_without_signing_in(tmp_path: Path) -> None:
    site = Site(migrated_file(tmp_path / "payouts.db"))
    client = site.client()
    said = client.get("/api/health")
    assert (said.status_code, said.json()["status"], list(said.json()["checks"])) == (200, "healthy", CHECKS)
    assert said.json()["checks"]["auth"]["status"] == "pass"
    assert client.get("/api/ready").status_code == client.get("/api/live").status_code == 200
    site.redis_server.connected = False
    other = Site(str(site.engine.url), fakeredis.FakeRedis(server=site.redis_server))
    assert other.client().get("/api/health").status_code == 503
    site.close()
    other.close()


def test_with_the_provider_away_auth_fails_and_sessions_go_on(tmp_path: Path) -> None:
    oidc = {"oidc_client_id": "payouts", "oidc_client_secret": "only for tests", "oidc_roles": "viewer=*"}
    url = migrated_file(tmp_path / "payouts.db")
    site = Site(url, oidc_issuer="http://127.0.0.1:9", **oidc)
    anna, bearer = site.visit(), {"Authorization": f"Bearer {site.token('bert')}"}
    said = site.client().get("/api/health").json()
    assert (said["status"], said["checks"]["auth"]["status"]) == ("degraded", "fail")
    for headers, who in (({}, anna.client), (bearer, site.client())):
        assert who.get("/api/auth/session", headers=headers).status_code == 200
        head = who.head("/api/auth/session", headers=headers)
        assert (head.status_code, head.content) == (200, b"")
    nobody = site.client()
    assert nobody.get("/api/auth/session").status_code == 401
    assert nobody.head("/api/auth/session").status_code == 401
    assert nobody.head("/api/auth/session").content == b""
    site.close()


# What each check finds.


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = build_engine(migrated_file(tmp_path / "payouts.db"), timeout_s=5, pool_size=2)
    yield made
    made.dispose()


@pytest.fixture
def client() -> redis.Redis:
    return fakeredis.FakeRedis()


@pytest.fixture
def asks(engine: Engine, client: redis.Redis) -> HealthAsks:
    return HealthAsks(engine, client, settings_for("sqlite://", NOWHERE))


@pytest.mark.parametrize(
    ("calls", "status", "note"),
    [
        ([], "pass", "not called lately"),
        (["answered", "failed"], "pass", ""),
        (["refused"], "pass", ""),
        (["failed", "failed"], "fail", ""),
    ],
)
def test_stripe_is_known_by_the_calls_of_all_processes(
    calls: list[str], status: str, note: str, asks: HealthAsks, client: redis.Redis
) -> None:
    meter = StripeMeter()
    for outcome in calls:
        meter.called("read", outcome, 0.2)
    pulse = a_pulse(client, "worker", "a:1")
    pulse.meters = Meters(meter)
    pulse.beat()
    found = asks.stripe()
    assert (found.status, found.note) == (status, note)
    assert found.latency_ms == (200 if calls else None)


@pytest.mark.parametrize(
    ("age_ms", "status"),
    [(0, "pass"), (30_000, "pass"), (2 * MINUTE_MS, "warn"), (11 * MINUTE_MS, "fail")],
)
def test_events_that_nobody_works_on_are_seen(
    age_ms: int, status: str, asks: HealthAsks, engine: Engine
) -> None:
    assert asks.queue().status == "pass"
    event = new_event(1, "evt_1", received_at_ms=now_ms() - age_ms)
    with engine.begin() as connection:
        inbox.add_events(connection, [event], IdMaker())
        connection.execute(sa.text("UPDATE inbox SET due_at_ms = :at"), {"at": now_ms() - age_ms})
    found = asks.queue()
    assert found.status == status
    assert ("late" in found.note) == (age_ms > 0)


@pytest.mark.parametrize(
    ("deliveries", "status"),
    [
        ([], "pass"),
        ([("delivered", 1, None, 0)], "pass"),
        ([("pending", 1, "no answer", 0)], "pass"),
        ([("pending", 3, "no answer", 0)], "fail"),
        ([("pending", 3, "no answer", 0), ("delivered", 1, None, 60 * MINUTE_MS)], "fail"),
        ([("pending", 3, "refused", 0), ("delivered", 1, None, MINUTE_MS)], "pass"),
        ([("dead", 15, "no such address", 0)], "pass"),
    ],
)
def test_email_is_known_by_what_became_of_it(
    deliveries: list[tuple[str, int, str | None, int]], status: str, asks: HealthAsks, engine: Engine
) -> None:
    columns = ("id", "account", "outbox_id", "channel", "status", "due_at_ms", "attempts", "last_error")
    rows = [
        (n, "acct_1", n, "email", state, now_ms() - age_ms, attempts, error)
        for n, (state, attempts, error, age_ms) in enumerate(deliveries, 1)
    ]
    rows.append((99, "acct_1", 99, "slack", "pending", now_ms(), 9, "another channel's"))
    with engine.begin() as connection:
        insert_rows(connection, notice_deliveries, columns, rows)
    found = asks.email()
    assert found.status == status
    assert (found.note == "no e-mail was to be sent yet") == (not deliveries)


class Provider:
    """An identity provider of one document."""

    def __init__(self) -> None:
        self.status, self.document = 200, "{}"
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(provider.status)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()
                self.wfile.write(provider.document.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.document = json.dumps({"issuer": f"{self.issuer}/"})
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


def test_a_provider_that_says_who_it_is_passes(provider: Provider) -> None:
    found = provider_health(provider.issuer)
    assert found.status == "pass"
    assert found.latency_ms is not None
    assert provider_health("").status == "pass"


@pytest.mark.parametrize(
    ("status", "document"),
    [(500, None), (302, None), (404, None), (200, "<html>"), (200, '{"issuer": "https://x"}'), (200, "[]")],
)
def test_a_provider_that_does_not_fails(status: int, document: str | None, provider: Provider) -> None:
    provider.status = status
    provider.document = provider.document if document is None else document
    assert provider_health(provider.issuer).status == "fail"
    assert provider_health("http://127.0.0.1:9").status == "fail"
