"""The console as a process, in a real Chromium: it stays current, knows keys, and is read without scripts."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, expect

from payouts.people import Role
from tests.conftest import need
from tests.support.browser import browser, chromium, sign_in, window
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.servers import RedisServer, free_port, wait_until
from tests.support.site import Site
from tests.support.stack import Stack
from tests.support.world import World


@dataclass
class Console:
    """A console that runs, the database it shows, and a token to sign in with."""

    url: str
    world: World
    token: str
    stack: Stack

    def receive(self, *names: str) -> None:
        self.world.now_ms = time.time_ns() // 1_000_000
        self.world.add(
            *(event_body(f"evt_{name}", "paid", payout_object(f"po_{name}", "paid")) for name in names)
        )


@pytest.fixture(scope="module")
def chrome(request: pytest.FixtureRequest) -> Iterator[Browser]:
    need(request, "Chromium", chromium())
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    need(request, "Redis", RedisServer.program())
    folder = tmp_path_factory.mktemp("console")
    url = migrated_file(folder / "payouts.db")
    site = Site(url)
    token = site.token("anna", Role.ADMIN)
    redis_url = request.getfixturevalue("_redis").url
    with Stack(folder, url, redis_url, CONSOLE_PORT=str(port := free_port())) as stack:
        yield Console(f"http://127.0.0.1:{port}", World(stack.engine), token, stack)
    site.close()


@pytest.fixture
def console(running: Console) -> Console:
    """The console, on a database without events. It goes on from test to test, unless one ends it."""
    running.world.clear()
    if not running.stack.is_running("console"):
        running.stack.launch("console", "console.web")
        wait_until("the console answers", lambda: _answers(running.url), 20)
    return running


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/sign-in", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_keys_lead_everywhere_and_times_are_utc_or_the_readers_own(chrome: Browser, console: Console) -> None:
    console.receive("one", "two")
    with window(chrome, console.url) as page:
        sign_in(page, console.token)
        page.keyboard.press("g")
        page.keyboard.press("e")
        page.wait_for_url("**/events")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/events/evt_one")
        page.keyboard.press("/")
        page.keyboard.type("evt_two")
        page.keyboard.press("Enter")
        page.wait_for_url("**/events/evt_two")
        shown = page.locator("main time").first
        utc = shown.inner_text()
        assert utc.endswith("Z")
        page.keyboard.press("t")
        expect(shown).not_to_have_text(utc)  # Berlin's
        page.keyboard.press("?")
        expect(page.get_by_role("heading", name="Keys")).to_be_visible()


def test_without_scripts_a_page_is_read_and_a_person_signs_in_and_out(
    chrome: Browser, console: Console
) -> None:
    console.receive("one")
    with window(chrome, console.url, java_script_enabled=False) as page:
        sign_in(page, console.token, "/events")
        expect(page.get_by_role("link", name="evt_one")).to_be_visible()
        page.get_by_label("Status").select_option("dead")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_text("Nothing fits these filters.")).to_be_visible()
        page.get_by_text("anna admin").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_session_that_was_ended_elsewhere_shows_the_door_at_the_next_change(
    chrome: Browser, console: Console
) -> None:
    with window(chrome, console.url) as page, window(chrome, console.url) as other:
        sign_in(page, console.token, "/events")
        sign_in(other, console.token, "/me")
        other.get_by_role("button", name="Sign out everywhere").click()
        expect(other.get_by_role("button", name="Sign in")).to_be_visible()
        console.receive("late")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_page_stays_current_by_itself_and_a_stop_ends_its_stream(chrome: Browser, console: Console) -> None:
    with window(chrome, console.url) as page:
        sign_in(page, console.token, "/events")
        expect(page.get_by_text("No event has come in yet.")).to_be_visible()
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        console.receive("first")
        expect(page.get_by_role("link", name="evt_first")).to_be_visible()
        # Whoever fills in a filter is left alone; the list beside it goes on.
        page.get_by_label("Account", exact=True).fill("acct_")
        console.receive("second")
        expect(page.get_by_role("link", name="evt_second")).to_be_visible()
        expect(page.get_by_label("Account", exact=True)).to_have_value("acct_")
        began_s = time.monotonic()
        assert console.stack.stop("console") == 0
        assert time.monotonic() - began_s < 5
        expect(page.get_by_text("not current")).to_be_visible()
