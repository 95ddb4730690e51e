"""Chromium, driven as a person would: what pages say, what scripts and the policy on them complain of."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WITHIN_MS = 10_000
AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
"""From `make test-tools`."""


def chromium() -> str | None:
    """Where Chromium is; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser. One for a module of tests: nothing else of it may run an event loop of its own."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield made
        made.close()


@contextmanager
def window(of: Browser, base: str, width: int = 1280, **options: Any) -> Iterator[Page]:
    """A window of its own, with its own cookies. Fails where a script, or what is forbidden it, complains."""
    context: BrowserContext = of.new_context(
        viewport={"width": width, "height": 900}, base_url=base, timezone_id="Europe/Berlin", **options
    )
    context.set_default_timeout(WITHIN_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    # A refusal is an answer with a status of its own, which Chromium takes for an error worth a line.
    unexpected = [text for text in complaints if "Failed to load resource" not in text]
    assert unexpected == [], unexpected


def sign_in(page: Page, token: str, at: str = "/") -> None:
    """Sign in by a token, and come to `at`."""
    page.goto(at)
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Places").wait_for()
    page.wait_for_load_state()  # the script listens to keys from then on


def judge(page: Page) -> list[str]:
    """What axe finds that is serious or worse. Nothing where axe-core is not installed."""
    if not AXE.is_file():
        return []
    # By evaluation, which the page's policy on scripts does not reach.
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
