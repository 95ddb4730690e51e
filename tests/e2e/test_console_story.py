"""By `make run` and the page that it prints, somebody who has never seen the console finds a dead event in
Chromium, understands why it died, sees what a replay would change, replays it, and follows the payout until
it is paid.

`SAVE_PICTURES=folder` keeps pictures of what they saw; docs/images has those that the documentation shows.
"""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import need
from tests.support.browser import browser, chromium, judge, sign_in, window
from tests.support.demo import up_with_demo

PAGES = {
    "overview": "/",
    "events": "/events",
    "dead": "/dead",
    "replays": "/replays",
    "payouts": "/payouts",
    "payouts-at-stripe": "/payouts/at-stripe",
    "approvals": "/approvals",
    "partners": "/partners",
    "ledger": "/ledger",
    "reconciliation": "/reconciliation",
    "completeness": "/completeness",
    "operations": "/operations",
    "notices": "/operations/notices",
    "audit": "/audit",
    "people": "/people",
    "me": "/me",
    "data": "/data",
    "data-rows": "/data/inbox/list",
}
"""Every place of the menu, and what lies right behind."""


def test_a_newcomer_finds_understands_and_heals_a_dead_event(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    need(request, "Chromium", chromium())
    with up_with_demo(tmp_path / "d") as shown, browser() as chrome:
        base = _found(r"the console: (http://\S+)", shown)
        token = _found(r"(pt_[\w-]{43})", shown)
        with window(chrome, base) as page:
            sign_in(page, token)
            _heal(page)
        _look_at_every_page(chrome, base, token)


def _heal(page: Page) -> None:
    # The first page says that something needs a person, and leads there.
    page.get_by_text("live", exact=True).wait_for()
    _keep(page, "overview")
    page.get_by_role("link", name=re.compile("1 event is dead")).click()
    page.get_by_role("link", name="PracticeError").wait_for()
    _keep(page, "dead")
    page.get_by_role("link", name="PracticeError").click()
    expect(page.get_by_text("the bank's trace id")).not_to_have_count(0)
    _keep(page, "dead-cause")
    page.get_by_text("Where it failed").click()
    expect(page.get_by_text("Traceback (most recent call last)")).to_be_visible()

    # What would a replay change?
    page.get_by_role("link", name="What would a replay change?").click()
    expect(page.get_by_role("cell", name=re.compile("in_transit → paid.*sent → paid"))).to_be_visible()
    _keep(page, "replay-preview")
    payout = page.locator("a[href^='/payouts/pay_']").first.get_attribute("href") or ""

    # It is replayed, and followed without loading the page again.
    page.get_by_label("Why").fill("the bug is mended")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("is asked for")).to_be_visible()
    expect(page.locator("#state .badge")).to_have_text("done", timeout=20_000)
    expect(page.locator("#events").get_by_text("in_transit → paid").first).to_be_visible()
    _keep(page, "replay")

    # The payout is paid, and nothing waits for anybody any more.
    page.goto(payout)
    expect(page.locator("main .badge").first).to_have_text("paid")
    _keep(page, "payout")
    page.goto("/dead")
    expect(page.get_by_text("Nothing stands failed.")).to_be_visible()


def _look_at_every_page(chrome: Browser, base: str, token: str) -> None:
    """Each fits both screens, in the light and in the dark, and is fit for those who cannot see it."""
    for width, scheme in ((1280, "light"), (390, "dark")):
        with window(chrome, base, width, color_scheme=scheme) as page:
            sign_in(page, token)
            for name, path in PAGES.items():
                answer = page.goto(path)
                assert answer is not None
                assert answer.status == 200, path
                over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert over <= 1, f"{path} is {over} px too wide at {width}"
                assert judge(page) == [], f"{path} at {width}, {scheme}"
                if width == 1280 and name not in (
                    "overview",
                    "dead",
                ):  # kept while there was something to see
                    _keep(page, name)


def _keep(page: Page, name: str) -> None:
    folder = os.environ.get("SAVE_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]
