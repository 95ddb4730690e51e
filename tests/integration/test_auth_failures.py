"""Who is not let in is counted by kind, at the API and at the console."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from api.guard import Doorkeeper
from payouts.addresses import Networks
from payouts.auth_failures import AuthFailures
from payouts.blocks import Decided
from payouts.clock import now_ms
from payouts.guard import Guard
from payouts.rate_limiter import RateLimiter
from payouts.tokens import new_token
from tests.support.databases import migrated_file
from tests.support.portal import portal_on
from tests.support.servers import RedisServer
from tests.support.site import Site


def counted(failures: AuthFailures) -> dict[str, int]:
    """How many of each kind, without those that there were none of."""
    return {key[-1]: count for key, count in failures.totals().items() if count}


def test_the_api_tells_tokens_that_ended_from_those_that_never_were(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    limiter = RateLimiter(redis_server.client, "payouts")
    guard = Guard("api", Networks(), {}, limiter, lambda _: Decided(), now_ms)
    with portal_on(f"sqlite:///{tmp_path / 'payouts.db'}", doorkeeper=lambda _: Doorkeeper(guard)) as portal:
        assert portal.doorkeeper is not None
        failures = portal.doorkeeper.failures
        assert set(failures.totals().values()) == {0}, "told before the first of a kind"
        assert portal.get("/payouts").status_code == 200
        revoked, expired = portal.new_token("revoked"), portal.new_token("expired")
        with portal.engine.begin() as connection:
            connection.execute(sa.text("UPDATE tokens SET revoked_at_ms = 1 WHERE name = 'revoked'"))
            connection.execute(sa.text("UPDATE tokens SET expires_at_ms = 1 WHERE name = 'expired'"))

        for token in (revoked, expired, new_token(), "no token"):
            assert portal.get("/payouts", token=token).status_code == 401
        assert portal.get("/payouts", headers={"Authorization": ""}).status_code == 401
        assert portal.get("/payouts", headers={"Authorization": "Basic abc"}).status_code == 401
        assert portal.get("/partners/nobody").status_code == 404

    assert counted(failures) == {"ended": 2, "unknown": 2, "missing": 2}


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Any:
    made = Site(migrated_file(tmp_path / "payouts.db"), redis_server.client, sign_in_tries=2)
    yield made
    made.close()


def test_the_console_counts_sign_ins_that_fail_and_sessions_that_are_over(site: Site) -> None:
    failures, client = site.parts.failures, site.client()

    def sign_in(token: str) -> int:
        return client.post("/sign-in", data={"token": token}).status_code

    assert client.get("/").status_code == 303
    assert client.get("/api/auth/session").status_code == 401
    assert counted(failures) == {}, "who is not signed in yet did not fail"

    assert [sign_in(new_token()) for _ in range(3)] == [401, 401, 429]
    assert counted(failures) == {"unknown": 2, "throttled": 1}

    site.redis.flushall()
    anna = site.visit()
    site.redis.flushall()
    assert anna.client.get("/payouts").status_code == 303
    assert counted(failures) == {"unknown": 2, "throttled": 1, "session": 1}

    programs = {"Authorization": f"Bearer {new_token()}"}
    assert client.get("/api/auth/session", headers=programs).status_code == 401
    assert client.get("/payouts", headers=programs).status_code == 401
    assert counted(failures) == {"unknown": 4, "throttled": 1, "session": 1}


def test_a_provider_that_does_not_answer_is_told_from_one_that_refuses(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    site = Site(
        migrated_file(tmp_path / "payouts.db"),
        redis_server.client,
        oidc_issuer="http://127.0.0.1:1",
        oidc_client_id="payouts",
        oidc_client_secret="not so secret",
        oidc_roles="viewer=*",
    )
    client: TestClient = site.client()
    assert client.get("/sign-in/provider").status_code == 503
    assert client.get("/sign-in/callback?code=x&state=y").status_code == 401
    assert counted(site.parts.failures) == {"provider": 1, "refused": 1}
    site.close()
