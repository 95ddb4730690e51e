"""Signing in to the console at a certified OpenID provider, and what keeps others out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from payouts.access import Step, deactivate
from payouts.ids import IdMaker
from tests.support.databases import migrated_file
from tests.support.real_provider import RealProvider, cancel_at, sign_in_as
from tests.support.site import Site, words_of

ROLES = "admin=owners,approver=finance"


@pytest.fixture
def site(tmp_path: Path, real_provider: RealProvider) -> Iterator[Site]:
    made = Site(
        migrated_file(tmp_path / "payouts.db"),
        **real_provider.settings,
        oidc_roles=ROLES,
        oidc_name="Example",
        sign_in_tries=3,
    )
    yield made
    made.close()


def begin(client: TestClient, back: str = "/") -> str:
    led = client.get(f"/sign-in/provider?next={back}")
    assert led.status_code == 303, led.text
    return str(led.headers["location"])


def come_back(client: TestClient, query: dict[str, str]) -> Any:
    return client.get("/sign-in/callback", params=query)


def test_groups_give_the_role_and_one_comes_to_the_page_that_was_asked_for(site: Site) -> None:
    client = site.client()
    assert "Sign in with Example" in client.get("/sign-in").text
    entered = come_back(client, sign_in_as("anna", begin(client, "/events")))
    assert entered.headers["location"] == "/events"
    who = client.get("/api/auth/session").json()
    assert (who["name"], who["role"]) == ("anna", "admin")
    other = site.client()
    come_back(other, sign_in_as("bert", begin(other)))
    assert other.get("/api/auth/session").json()["role"] == "approver"


def test_who_has_no_group_that_counts_is_told_so_and_stays_outside(site: Site) -> None:
    client = site.client()
    refused = come_back(client, sign_in_as("carla", begin(client)))
    assert refused.status_code == 401
    assert "none of your groups gives a role here" in words_of(refused.text)
    assert client.get("/api/auth/session").status_code == 401


def test_an_answer_is_good_once_and_in_the_browser_that_began(site: Site) -> None:
    client, other = site.client(), site.client()
    answer = sign_in_as("anna", begin(client))
    assert come_back(other, answer).status_code == 401  # sent to somebody else, to sign them in as anna
    assert come_back(client, {**answer, "state": "guessed"}).status_code == 401
    assert come_back(client, answer).status_code == 401  # the state was used up by the guess
    assert come_back(client, {}).status_code == 429  # and that was one try too many
    assert client.get("/api/auth/session").status_code == 401


def test_who_turns_back_at_the_provider_can_begin_again(site: Site) -> None:
    client = site.client()
    refused = come_back(client, cancel_at(begin(client)))
    assert refused.status_code == 401
    assert "Sign in with Example" in refused.text


def test_who_was_deactivated_here_is_out_at_once_and_stays_so(site: Site) -> None:
    client, boss = site.client(), site.token("boss")
    assert boss
    come_back(client, sign_in_as("bert", begin(client)))
    name = client.get("/api/auth/session").json()["name"]
    with site.engine.begin() as connection:
        deactivate(Step(connection, IdMaker(), site.parts.clock(), "boss"), name)
    assert client.get("/api/auth/session").status_code == 401
    assert come_back(client, sign_in_as("bert", begin(client))).status_code == 401


def test_with_the_provider_away_sessions_and_tokens_go_on(tmp_path: Path) -> None:
    settings = {"oidc_client_id": "payouts", "oidc_client_secret": "only/for+tests", "oidc_roles": ROLES}
    site = Site(migrated_file(tmp_path / "payouts.db"), oidc_issuer="http://127.0.0.1:9", **settings)
    anna = site.visit()
    assert anna.client.get("/").status_code == 200
    refused = site.client().get("/sign-in/provider")
    assert refused.status_code == 503
    assert "identity provider" in words_of(refused.text)
    site.close()
