"""What a person can do about a payout, pressed in Chromium: each verb, two people at once, and the slider."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from payouts.people import Role
from tests.conftest import need
from tests.support.browser import browser, chromium, sign_in, window
from tests.support.databases import migrated_file
from tests.support.payout_site import PayoutSite
from tests.support.served import clicker, served
from tests.support.servers import RedisServer

Setup = Callable[[PayoutSite], int]


@pytest.fixture(scope="module")
def chrome(request: pytest.FixtureRequest) -> Iterator[Browser]:
    need(request, "Chromium", chromium())
    with browser() as made:
        yield made


@pytest.fixture
def at(tmp_path: Path, redis_server: RedisServer) -> Iterator[PayoutSite]:
    made = PayoutSite(migrated_file(tmp_path / "payouts.db"))
    made.queue_in(redis_server.client)
    yield made
    made.close()


@pytest.fixture
def base(at: PayoutSite) -> Iterator[str]:
    with served(at.site) as address:
        yield address


VERBS: list[tuple[str, Setup, str, str]] = [
    ("Approve", PayoutSite.waiting, "queued", "Sends 120.50 EUR to Partner 1"),
    ("Reject", PayoutSite.waiting, "rejected", "nothing is sent, and 120.50 EUR is owed"),
    ("Cancel", PayoutSite.queued, "canceled", "Calls it off: nothing is sent"),
    ("Hold", PayoutSite.queued, "queued", "from being sent until somebody releases it"),
    ("Release", PayoutSite.held, "queued", "it is looked at again at once"),
    ("Retry", PayoutSite.returned, "sending", "without a second transfer"),
    ("Reverse", PayoutSite.returned, "reversing", "it is then owed to the partner again"),
    ("Look at Stripe", PayoutSite.unclear, "sending", "Nothing is sent."),
    ("Never made: send anew", PayoutSite.unclear, "sending", "the partner is paid twice"),
]


@pytest.mark.parametrize(("label", "setup", "then", "says"), VERBS, ids=[verb for verb, *_ in VERBS])
def test_a_verb_says_what_it_will_do_is_pressed_once_and_is_gone(
    chrome: Browser, at: PayoutSite, base: str, label: str, setup: Setup, then: str, says: str
) -> None:
    request_id = setup(at)
    with clicker(chrome, base, at.site, "ben") as ben:
        assert says in ben.at(f"/payouts/pay_{request_id}").press(label)
        ben.expect_told(f"pay_{request_id}: 120.50 EUR")
        expect(ben.page.locator("dd .badge").first).to_have_text(then)
        expect(ben.verb(label)).to_have_count(0)
        expect(ben.page.locator("#timeline ~ ol")).to_contain_text("looked into it")
    assert at.status(request_id) == then
    assert at.story.rows(request_id).audit[-1]["actor"] == "ben"


def test_the_browser_asks_for_a_reason_before_anything_is_sent(
    chrome: Browser, at: PayoutSite, base: str
) -> None:
    request_id = at.queued()
    with clicker(chrome, base, at.site, "ben") as ben:
        form = ben.at(f"/payouts/pay_{request_id}").opened("Cancel")
        form.locator("button").click()
        assert form.get_by_label("Why").evaluate("field => field.validity.valueMissing")
        expect(ben.told).to_have_count(0)
    assert at.status(request_id) == "queued"


def test_who_asked_for_it_sees_that_somebody_else_decides_and_that_one_does(
    chrome: Browser, at: PayoutSite, base: str
) -> None:
    request_id = at.waiting()
    page = f"/payouts/pay_{request_id}"
    with clicker(chrome, base, at.site, "anna") as anna, clicker(chrome, base, at.site, "ben") as ben:
        anna.at(page)
        expect(anna.main).to_contain_text("you asked for it yourself: somebody else decides")
        expect(anna.verb("Approve")).to_have_count(0)
        ben.at("/approvals").page.locator(f"main a[href^='{page}']").first.click()
        ben.page.wait_for_url(f"**{page}")
        ben.press("Approve", "the invoice is right")
        # Anna's page follows by itself.
        expect(anna.page.locator("dd .badge").first).to_have_text("queued", timeout=15_000)
        expect(anna.main).to_contain_text("the invoice is right")


@pytest.mark.parametrize(("first", "second"), [("Approve", "Reject"), ("Reject", "Approve")])
def test_of_two_on_the_same_page_the_second_is_told_and_nothing_happens_twice(
    chrome: Browser, at: PayoutSite, base: str, first: str, second: str
) -> None:
    request_id = at.waiting()
    page = f"/payouts/pay_{request_id}"
    with clicker(chrome, base, at.site, "ben") as ben, clicker(chrome, base, at.site, "carl") as carl:
        form = carl.at(page).opened(second)
        form.get_by_label("Why").fill("my own thoughts")
        ben.at(page).press(first, "I was first")
        # While somebody fills a form in, it is left alone, however the rest of the page moves on.
        expect(form.get_by_label("Why")).to_have_value("my own thoughts")
        carl.send(form)
        carl.expect_told("nothing was done")
        carl.expect_told("ben: I was first")
    assert len(at.moves(request_id)) == 2
    assert [entry["actor"] for entry in at.story.rows(request_id).audit] == ["anna", "ben"]


def test_who_may_only_look_finds_no_button(chrome: Browser, at: PayoutSite, base: str) -> None:
    request_id = at.waiting()
    with clicker(chrome, base, at.site, "vera", Role.VIEWER) as vera:
        vera.at(f"/payouts/pay_{request_id}")
        expect(vera.page.locator("main details.verb")).to_have_count(0)


def test_the_slider_moves_through_the_life_of_a_payout_by_hand_and_by_keys(
    chrome: Browser, at: PayoutSite, base: str
) -> None:
    request_id = at.returned()
    with clicker(chrome, base, at.site, "ben") as ben:
        ben.at(f"/payouts/pay_{request_id}")
        status, slider = ben.page.locator("dd .badge").first, ben.page.get_by_label("Move through its time")
        expect(status).to_have_text("returned")
        slider.fill("0")
        expect(status).to_have_text("queued")
        expect(ben.main).to_contain_text("Nothing can be done from here")
        expect(ben.page.locator("main details.verb")).to_have_count(0)
        assert "at=" in ben.page.url
        slider.focus()
        seen = [status.inner_text()]
        moments = int(slider.get_attribute("max") or 0)
        for moment in range(1, moments + 1):
            ben.page.keyboard.press("ArrowRight")
            words = f"moment {moment + 1} of" if moment < moments else "Now."
            expect(ben.page.locator("#moment")).to_contain_text(words)
            if status.inner_text() != seen[-1]:
                seen.append(status.inner_text())
        assert seen == ["queued", "sending", "sent", "paid", "returned"]
        expect(ben.verb("Retry")).to_have_count(1)
        assert "at=" not in ben.page.url


def test_without_scripts_links_move_through_the_same_moments(
    chrome: Browser, at: PayoutSite, base: str
) -> None:
    request_id = at.returned()
    with window(chrome, base, java_script_enabled=False) as page:
        sign_in(page, at.site.token("ben"), f"/payouts/pay_{request_id}")
        expect(page.get_by_label("Move through its time")).to_be_hidden()
        page.get_by_role("link", name="First").click()
        expect(page.locator("dd .badge").first).to_have_text("queued")
        page.get_by_role("link", name="Now", exact=True).click()
        expect(page.locator("dd .badge").first).to_have_text("returned")
