"""The console of this process on a port of its own, and people who click through it in Chromium."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from playwright.sync_api import Browser, Locator, Page, expect

from payouts.people import Role
from tests.support.browser import sign_in, window
from tests.support.servers import free_port, wait_until
from tests.support.site import Site


@contextmanager
def served(site: Site, port: int | None = None) -> Iterator[str]:
    """The address of `site`, which answers there until the block ends."""
    port = port or free_port()
    config = uvicorn.Config(site.app, host="127.0.0.1", port=port, log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until("the console answers", lambda: server.started, 20)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        site.app.state.stopping = True  # ends the streams of open pages
        server.should_exit = True
        thread.join(20)


class Clicker:
    """Somebody at a window of their own, who reads and presses what is on the page."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name

    def at(self, path: str) -> "Clicker":
        self.page.goto(path)
        return self

    @property
    def told(self) -> Locator:
        """What the page says about what was sent last."""
        return self.page.locator("main .told[role=status], main .told[role=alert]").first

    @property
    def main(self) -> Locator:
        return self.page.locator("main")

    def verb(self, label: str) -> Locator:
        """The folded form of a verb; more than one, where several rows have it."""
        summary = self.page.locator("summary", has_text=re.compile(f"^{re.escape(label)}$"))
        return self.page.locator("main details.verb", has=summary)

    def opened(self, label: str) -> Locator:
        form = self.verb(label).first
        form.locator("summary").click()
        return form

    def press(self, label: str, why: str | None = "looked into it", **fields: str) -> str:
        """Unfold a verb, fill its form in, and send it: what it said that it would do."""
        form = self.opened(label)
        says = form.locator("p").first.inner_text()
        for name, value in fields.items():
            form.locator(f"[name={name}]").fill(value)
        if why is not None:
            form.get_by_label("Why").fill(why)
        self.send(form)
        return says

    def send(self, form: Locator) -> None:
        """Send an unfolded form, and wait for the page that answers it."""
        with self.page.expect_navigation():
            form.locator("button").click()

    def expect_told(self, text: str) -> None:
        expect(self.told).to_contain_text(text)


@contextmanager
def clicker(chrome: Browser, base: str, site: Site, name: str, role: Role = Role.ADMIN) -> Iterator[Clicker]:
    """Somebody who is signed in, in a window of their own."""
    with window(chrome, base) as page:
        sign_in(page, site.token(name, role))
        yield Clicker(page, name)
