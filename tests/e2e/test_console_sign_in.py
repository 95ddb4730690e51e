"""Coming in to the console, and staying outside, in Chromium: by a token, and at a certified provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from payouts.access import Step, deactivate, revoke_token
from payouts.ids import IdMaker
from payouts.people import Role
from payouts.storage.people_rows import live_tokens
from tests.conftest import need
from tests.support.browser import browser, chromium, sign_in, window
from tests.support.databases import migrated_file
from tests.support.real_provider import RealProvider
from tests.support.served import clicker, served
from tests.support.servers import free_port
from tests.support.site import Site

GUESS = "pt_" + "a" * 43


@pytest.fixture(scope="module")
def chrome(request: pytest.FixtureRequest) -> Iterator[Browser]:
    need(request, "Chromium", chromium())
    with browser() as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"), sign_in_tries=3)
    yield made
    made.close()


@pytest.fixture
def base(site: Site) -> Iterator[str]:
    with served(site) as address:
        yield address


def try_token(page: Page, token: str) -> None:
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_a_wrong_token_says_so_and_too_many_of_them_close_the_door_for_a_while(
    chrome: Browser, site: Site, base: str
) -> None:
    token = site.token("anna")
    with window(chrome, base) as page:
        page.goto("/events")
        for _ in range(3):
            try_token(page, GUESS)
            expect(page.get_by_role("alert")).to_be_visible()
            assert GUESS not in page.content()
        try_token(page, token)
        expect(page.get_by_role("alert")).to_contain_text("too many sign-ins failed: try again in")
        page.goto("/events")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_whose_token_was_revoked_stays_outside_and_a_new_one_leads_where_one_was_going(
    chrome: Browser, site: Site, base: str
) -> None:
    old, new = site.token("anna"), site.token("anna")
    with site.engine.begin() as connection:
        first = min(token.id for token in live_tokens(connection, site.person_id("anna")))
        revoke_token(Step(connection, IdMaker(), site.parts.clock(), "boss"), first)
    with window(chrome, base) as page:
        page.goto("/events?status=dead")
        try_token(page, old)
        expect(page.get_by_role("alert")).to_be_visible()
        try_token(page, new)
        page.wait_for_url("**/events?status=dead")


def test_a_session_that_ends_while_a_form_is_filled_in_leads_back_to_that_page(
    chrome: Browser, site: Site, base: str
) -> None:
    with clicker(chrome, base, site, "anna") as anna:
        form = anna.at("/operations").opened("Stop every payout")
        form.get_by_label("Why").fill("odd amounts")
        site.redis.flushall()  # every session is over
        anna.send(form)
        expect(anna.page.get_by_role("alert")).to_contain_text("your session is over, so nothing was done")
        try_token(anna.page, site.token("anna"))
        anna.page.wait_for_url("**/operations")
        expect(anna.main).to_contain_text("Payouts are sent.")


def test_who_is_deactivated_is_out_with_the_next_click(chrome: Browser, site: Site, base: str) -> None:
    assert site.token("boss")
    with clicker(chrome, base, site, "carl", Role.OPERATOR) as carl:
        with site.engine.begin() as connection:
            deactivate(Step(connection, IdMaker(), site.parts.clock(), "boss"), "carl")
        carl.page.get_by_role("link", name="Events", exact=True).click()
        expect(carl.page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.fixture
def at_provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, str]]:
    """A console that people reach by a provider, and its address."""
    need(request, "oidc-provider", RealProvider.program())
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with RealProvider([f"{address}/sign-in/callback"]) as provider:
        site = Site(
            migrated_file(tmp_path / "payouts.db"),
            **provider.settings,
            oidc_roles="admin=owners,approver=finance",
            oidc_name="Example",
            console_url=address,
        )
        with served(site, port):
            yield site, address
        site.close()


def at_the_provider(page: Page, login: str) -> None:
    page.get_by_role("link", name="Sign in with Example").click()
    page.locator("[name=login]").fill(login)
    page.locator("[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_at_a_provider_ones_groups_give_the_role_and_one_comes_where_one_was_going(
    chrome: Browser, at_provider: tuple[Site, str]
) -> None:
    _, address = at_provider
    with window(chrome, address) as page:
        page.goto("/events?status=dead")
        at_the_provider(page, "anna")
        page.wait_for_url("**/events?status=dead")
        expect(page.get_by_text("anna admin")).to_be_visible()


def test_who_turns_back_or_has_no_group_that_counts_is_told_and_stays_outside(
    chrome: Browser, at_provider: tuple[Site, str]
) -> None:
    _, address = at_provider
    with window(chrome, address) as page:
        page.goto("/")
        page.get_by_role("link", name="Sign in with Example").click()
        page.get_by_role("link", name="Cancel").click()
        expect(page.get_by_role("alert")).to_be_visible()
        at_the_provider(page, "carla")
        expect(page.get_by_role("alert")).to_contain_text("none of your groups gives a role here")


def test_with_the_provider_away_those_inside_stay_and_a_token_still_lets_one_in(
    chrome: Browser, tmp_path: Path
) -> None:
    site = Site(
        migrated_file(tmp_path / "payouts.db"),
        oidc_issuer="http://127.0.0.1:9",
        oidc_client_id="payouts",
        oidc_client_secret="only for tests",
        oidc_roles="admin=owners",
        oidc_name="Example",
    )
    with served(site) as address, window(chrome, address) as page:
        page.goto("/sign-in")
        page.get_by_role("link", name="Sign in with Example").click()
        expect(page.get_by_role("alert")).to_contain_text("identity provider")
        sign_in(page, site.token("anna"), "/sign-in?next=/events")
        page.wait_for_url("**/events")
    site.close()
