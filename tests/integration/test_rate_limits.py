"""Rate limits of the API and the console, as callers meet them and as operators see and change them."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.guard import Doorkeeper
from payouts.addresses import parse_networks
from payouts.blocking import block, raise_limit
from payouts.clock import now_ms
from payouts.guard import Guard
from payouts.people import Role
from payouts.rate_limiter import RateLimiter
from payouts.rates import RouteGroup
from payouts.storage.guard_rows import decided
from payouts.storage.people_rows import live_digests
from payouts.tokens import new_token
from tests.support.commands import run_here as run
from tests.support.databases import migrated_file
from tests.support.portal import Portal, portal_on, problem
from tests.support.requests import ANNA
from tests.support.servers import RedisServer
from tests.support.site import Site

HOUR_MS = 3_600_000
SMALL = {
    RouteGroup.API_READ: 3,
    RouteGroup.API_WRITE: 2,
    RouteGroup.API_OPEN: 2,
    RouteGroup.API_REFUSED: 3,
}
NOBODY = f"Bearer {new_token()}"


class Door:
    """A portal that is limited, and who stands in front of it."""

    def __init__(self, portal: Portal, doorkeeper: Doorkeeper, redis_server: RedisServer) -> None:
        self.portal, self.doorkeeper, self.redis = portal, doorkeeper, redis_server.client

    def get(self, path: str = "/payouts", **more: Any) -> httpx.Response:
        return self.portal.get(path, **more)

    def statuses(self, times: int, path: str = "/payouts", **more: Any) -> list[int]:
        return [self.get(path, **more).status_code for _ in range(times)]

    def counted(self) -> list[str]:
        return sorted(key.decode() for key in self.redis.scan_iter())


@pytest.fixture
def door(tmp_path: Path, redis_server: RedisServer) -> Iterator[Door]:
    def limited(engine: Engine) -> Doorkeeper:
        def read(at_ms: int) -> Any:
            return decided(engine, at_ms)

        limiter = RateLimiter(redis_server.client, "payouts")
        guard = Guard("api", parse_networks("127.0.0.1"), SMALL, limiter, read, now_ms)
        return Doorkeeper(guard, partial(live_digests, engine))

    with portal_on(f"sqlite:///{tmp_path / 'payouts.db'}", doorkeeper=limited) as portal:
        assert portal.doorkeeper is not None
        yield Door(portal, portal.doorkeeper, redis_server)


def test_a_token_that_asks_too_much_is_told_so_and_when_to_come_back(door: Door) -> None:
    assert [door.get().headers["ratelimit-remaining"] for _ in range(3)] == ["2", "1", "0"]

    refused = door.get()

    assert problem(refused) == (429, "rate_limited")
    told = refused.headers
    assert (told["ratelimit-limit"], told["ratelimit-remaining"]) == ("3", "0")
    assert 0 < int(told["retry-after"]) <= 60
    assert told["retry-after"] == told["ratelimit-reset"]
    assert told["ratelimit-policy"] == '"api-read";q=3;w=60'
    assert told["ratelimit"] == f'"api-read";r=0;t={told["ratelimit-reset"]}'
    (key,) = door.counted()
    assert key.startswith("ratelimit:payouts:")


def test_each_token_and_each_kind_of_request_is_counted_by_itself(door: Door) -> None:
    other = door.portal.new_token("other")
    assert door.statuses(4) == [200, 200, 200, 429]
    assert door.statuses(1, token=other) == [200]
    wish = {"partner": "nobody", "currency": "eur", "amount_minor": 100}
    written = [door.portal.post("/payouts", wish, key=f"key-{n}") for n in range(3)]
    assert [each.status_code for each in written] == [404, 404, 429]
    assert written[0].headers["ratelimit-limit"] == "2", "told on a refusal of another kind too"


def test_who_tries_tokens_is_stopped_before_the_database_is_asked(door: Door) -> None:
    assert door.statuses(5, headers={"Authorization": NOBODY}) == [401, 401, 401, 429, 429]
    assert problem(door.get(headers={"Authorization": ""})) == (429, "rate_limited")
    never_seen = door.portal.new_token("fresh")
    assert door.statuses(1, token=never_seen) == [429]


def test_a_token_that_was_let_in_before_does_not_suffer_for_its_address(door: Door) -> None:
    assert door.statuses(1) == [200]
    assert door.statuses(4, headers={"Authorization": NOBODY}) == [401, 401, 401, 429]
    assert door.statuses(1) == [200]


def test_a_good_token_does_not_suffer_for_its_address_even_after_a_restart(door: Door) -> None:
    revoked = door.portal.new_token("gone")
    with door.portal.engine.begin() as connection:
        connection.execute(sa.text("UPDATE tokens SET revoked_at_ms = 1 WHERE name = 'gone'"))
    door.doorkeeper.learn()  # as a process does once it has started; it has let nobody in yet
    assert door.statuses(4, headers={"Authorization": NOBODY}) == [401, 401, 401, 429]
    assert door.statuses(1) == [200]
    assert door.statuses(1, token=revoked) == [429]

    made_meanwhile = door.portal.new_token("fresh")
    assert door.statuses(1, token=made_meanwhile) == [429]
    door.doorkeeper.learn()
    assert door.statuses(1, token=made_meanwhile) == [200]


def test_tokens_are_read_at_the_start_and_then_only_while_somebody_floods(door: Door) -> None:
    read: list[int] = []

    def live(at_ms: int, most: int) -> set[str]:
        read.append(most)
        return set()

    doorkeeper = Doorkeeper(door.doorkeeper.guard, live)
    doorkeeper.learn()
    doorkeeper.learn()
    assert len(read) == 1
    for _ in range(SMALL[RouteGroup.API_REFUSED]):
        doorkeeper.refused("203.0.113.9", "token_unknown")
    doorkeeper.learn()
    assert len(read) == 2


def test_a_caller_behind_the_proxy_is_counted_by_its_own_address(door: Door) -> None:
    one, other = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.1, 203.0.113.2"}
    assert door.statuses(3, "/maintenance", headers=one) == [200, 200, 429]
    assert door.statuses(3, "/maintenance", headers=other) == [200, 200, 429]
    assert door.statuses(5, "/live", headers=one) == [200] * 5


def test_while_redis_is_away_the_process_counts_for_itself(tmp_path: Path, own_redis: RedisServer) -> None:
    limiter = RateLimiter(own_redis.client, "payouts")
    with portal_on(
        f"sqlite:///{tmp_path / 'payouts.db'}",
        doorkeeper=lambda engine: Doorkeeper(
            Guard("api", parse_networks(""), SMALL, limiter, lambda at_ms: decided(engine, at_ms), now_ms)
        ),
    ) as portal:
        own_redis.stop()
        assert [portal.get("/payouts").status_code for _ in range(5)] == [200, 200, 200, 429, 429]


def test_a_raised_limit_counts_once_the_process_has_looked(door: Door) -> None:
    assert door.statuses(4) == [200, 200, 200, 429]
    with door.portal.engine.begin() as connection:
        until_ms = now_ms() + HOUR_MS
        words = (RouteGroup.API_READ, 50, until_ms, SMALL, ANNA, "a launch", door.portal.make_id, now_ms())
        raise_limit(connection, *words)
    door.doorkeeper.guard.look()
    assert door.statuses(10) == [200] * 10
    door.doorkeeper.guard.clock = lambda: until_ms
    assert door.statuses(1) == [429], "its end has come, whoever looked or not"


def test_a_blocked_address_gets_no_answer_but_that(door: Door) -> None:
    with door.portal.engine.begin() as connection:
        words = ("203.0.113.0/24", now_ms() + HOUR_MS, parse_networks(""), ANNA, "a flood")
        block(connection, *words, door.portal.make_id, now_ms())
    door.doorkeeper.guard.look()
    theirs = {"X-Forwarded-For": "203.0.113.9"}
    assert problem(door.get(headers=theirs)) == (403, "address_blocked")
    assert problem(door.get("/maintenance", headers=theirs)) == (403, "address_blocked")
    assert door.statuses(1) == [200]
    assert door.doorkeeper.guard.totals() == {("blocked", "api"): 2}


def test_hits_are_counted_for_the_vital_sign_and_by_limit(door: Door) -> None:
    door.statuses(5)
    assert door.portal.meter.totals()["limited", "api"] == 2
    assert door.doorkeeper.guard.totals() == {("limits", "api", "api-read"): 2}


class Desk:
    """The command on a database with people, and a Redis."""

    def __init__(self, url: str, redis_url: str, **more: str) -> None:
        self.environment = {"DATABASE_URL": url, "REDIS_URL": redis_url, "COLUMNS": "200", **more}
        self.tokens = {"anna": self.ok("people", "add", "anna", "--role", "admin").strip()}
        for name, role in (("olga", "operator"), ("vera", "viewer")):
            self.tokens[name] = self.ok("people", "add", name, "--role", role).strip()

    def run(self, *words: str, by: str = "anna") -> Any:
        token = {"PAYOUTS_TOKEN": self.tokens[by]} if by in getattr(self, "tokens", {}) else {}
        return run(*words, **self.environment, **token)

    def ok(self, *words: str, by: str = "anna") -> str:
        done = self.run(*words, by=by)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def refused(self, *words: str, by: str = "anna") -> str:
        done = self.run(*words, by=by)
        assert done.returncode == 1, done.stdout
        return str(done.stderr)


def test_operators_see_and_change_limits_and_blocks_by_command(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    desk = Desk(migrated_file(tmp_path / "payouts.db"), redis_server.url, TRUSTED_PROXIES="192.0.2.10")
    limiter = RateLimiter(redis_server.client, "payouts")
    for _ in range(5):
        limiter.hit(RouteGroup.RECEIVER_REFUSED, "2001:db8::/64", 120)
    redis_server.client.set("ratelimit:payouts:sign-in:203.0.113.9", 4)

    said = desk.ok(
        "limits", "raise", "api-read", "--to", "20000", "--for", "2h", "--reason", "a launch", by="olga"
    )
    assert "api-read allows 20,000 requests a minute, until 20" in said
    assert "203.0.113.0/24 is blocked, until 20" in desk.ok(
        "block", "203.0.113.0/24", "--for", "1d", "--reason", "a flood", by="olga"
    )

    shown = desk.ok("limits")
    assert "a launch (olga; else 6,000)" in shown
    assert "a flood" in shown
    assert "never limited or blocked: 15 addresses of Stripe's, as built in" in shown
    found = json.loads(desk.ok("limits", "--json"))
    by_route = {each["route"]: each for each in found["limits"]}
    assert (by_route["api-read"]["per_minute"], by_route["api-read"]["per_minute_now"]) == (6_000, 20_000)
    assert [each["network"] for each in found["blocks"]] == ["203.0.113.0/24"]
    assert {(each["route"], each["who"], each["count"]) for each in found["busiest"]} == {
        ("receiver-refused", "2001:db8::/64", 5),
        ("sign-in", "203.0.113.9", 4),
    }

    assert "a proxy of TRUSTED_PROXIES" in desk.refused("block", "192.0.2.10", "--for", "1d", "--reason", "x")
    assert "Stripe's" in desk.refused("block", "3.18.12.63", "--for", "1d", "--reason", "x")
    assert "may not do this" in desk.refused("block", "1.1.1.1", "--for", "1d", "--reason", "x", by="vera")
    misspelt = desk.run("limits", "raise", "api-raed", "--to", "5", "--for", "1h", "--reason", "x")
    assert "'ROUTE': 'api-raed' is not one of" in misspelt.stderr
    assert "is no time" in desk.refused("block", "1.1.1.1", "--for", "soon", "--reason", "x")
    assert "more than that" in desk.refused(
        "limits", "raise", "console", "--to", "5", "--for", "1h", "--reason", "x"
    )

    assert "203.0.113.0/24 is answered again" in desk.ok("unblock", "203.0.113.0/24", "--reason", "mended")
    assert "api-read allows what is set again" in desk.ok("limits", "reset", "--reason", "over")
    assert "no limit is raised" in desk.refused("limits", "reset", "--reason", "over")
    assert "no address is blocked" in desk.ok("limits")
    assert '"rate_limit.reset"' in desk.ok("audit", "list", "--json")


def test_without_redis_the_limits_are_shown_all_the_same(tmp_path: Path) -> None:
    desk = Desk(migrated_file(tmp_path / "payouts.db"), "redis://127.0.0.1:1/0")
    assert "who asks most is not known: Redis does not answer" in desk.ok("limits")


AT = "/operations/limits"


def test_limits_and_blocks_are_changed_in_the_console(tmp_path: Path, redis_server: RedisServer) -> None:
    site = Site(migrated_file(tmp_path / "payouts.db"), redis_server.client, trusted_proxies="192.0.2.10")
    anna = site.visit()
    for_two_hours = {"for": "2h", "reason": "a launch"}
    assert "api-read allows 20,000" in anna.send(AT, f"{AT}/api-read/raise", most="20000", **for_two_hours)
    page = anna.reads(AT)
    assert "20,000" in page
    assert "a launch; else 6,000" in page
    assert "is no number" in anna.send(AT, f"{AT}/console/raise", most="many", **for_two_hours)
    assert "api-read allows what is set" in anna.send(AT, f"{AT}/api-read/lower", reason="over")

    said = anna.send(AT, f"{AT}/block", address="203.0.113.7", **{"for": "1d", "reason": "a flood"})
    assert "203.0.113.7 is blocked" in said
    assert "TRUSTED_PROXIES" in anna.send(AT, f"{AT}/block", address="192.0.2.10", **for_two_hours)
    assert "is no time" in anna.send(AT, f"{AT}/block", address="1.1.1.1", **{"for": "x", "reason": "y"})
    assert "203.0.113.7 is answered again" in anna.send(AT, f"{AT}/unblock", reason="mended")
    assert "No address is blocked." in anna.reads(AT)
    assert "address.unblock" in anna.reads("/audit?actor=anna")

    vera = site.visit("vera", Role.VIEWER)
    assert "Block an address" not in vera.reads(AT)
    site.close()


def test_the_console_limits_pages_by_address_and_answers_blocked_ones_403(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    url = migrated_file(tmp_path / "payouts.db")
    site = Site(url, redis_server.client, console_per_minute=3)
    client = site.client()
    assert [client.get("/sign-in").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = client.get("/sign-in")
    assert refused.headers["ratelimit-policy"] == '"console";q=3;w=60'
    assert int(refused.headers["retry-after"]) > 0
    assert "content-security-policy" in refused.headers
    assert client.get("/static/none.css").status_code == 404, "what pages are made of is not counted"

    with site.engine.begin() as connection:
        words = ("203.0.113.7", now_ms() + HOUR_MS, parse_networks(""), ANNA, "a flood")
        block(connection, *words, site.parts.make_id, now_ms())
    site.parts.guard.look()
    theirs = TestClient(site.app, client=("203.0.113.7", 4711))
    assert theirs.get("/sign-in").status_code == 403
    assert theirs.get("/static/none.css").status_code == 403
    site.close()


def test_failed_sign_ins_are_counted_by_the_address_that_the_proxy_names(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    site = Site(
        migrated_file(tmp_path / "payouts.db"),
        redis_server.client,
        sign_in_tries=2,
        trusted_proxies="192.0.2.10",
    )
    proxy = TestClient(site.app, client=("192.0.2.10", 4711))

    def tries(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        return proxy.post("/sign-in", data={"token": new_token()}, headers=headers).status_code

    assert [tries("203.0.113.7") for _ in range(3)] == [401, 401, 429]
    assert tries("203.0.113.99, 203.0.113.7") == 429, "it wrote another address itself"
    assert tries("203.0.113.8") == 401
    assert redis_server.client.get("ratelimit:payouts:sign-in:203.0.113.7") == b"2"
    site.close()
