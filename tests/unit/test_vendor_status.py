"""Vendors' status pages: what they say, and that nobody waits for those that say nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from payouts.settings import Settings
from payouts.vendor_status import Vendors, VendorStatus, read_pages
from tests.support.commands import run_here

WELL = json.dumps({"page": {}, "status": {"indicator": "none", "description": "All Systems Operational"}})
ILL = json.dumps({"page": {}, "status": {"indicator": "major", "description": "Partial \x1b[31mOutage"}})


class Pages:
    """A server of status pages; that of `hangs` answers when it is told to."""

    def __init__(self) -> None:
        self.released = threading.Event()
        pages = self
        answers = {"/well": WELL, "/ill": ILL, "/html": "<html>", "/other": '{"status": "up"}', "/list": "[]"}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/hangs":
                    pages.released.wait(60)
                self.send_response(200 if self.path in answers else 500)
                self.end_headers()
                self.wfile.write(answers.get(self.path, WELL).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.close()


def test_each_says_how_it_is(pages: Pages) -> None:
    asked = [(name, f"{pages.url}/{name}") for name in ("well", "ill", "html", "other", "list", "away")]
    asked.append(("nobody", "http://127.0.0.1:1/"))
    found = Vendors(asked, within_s=30).wait()
    unread = "its answer does not read"
    assert [(each.name, each.well, each.text) for each in found] == [
        ("well", True, "All Systems Operational"),
        ("ill", False, "Partial \x1b[31mOutage"),
        ("html", None, unread),
        ("other", None, unread),
        ("list", None, unread),
        ("away", None, "could not be reached"),
        ("nobody", None, "could not be reached"),
    ]


def test_one_that_hangs_is_done_without(pages: Pages) -> None:
    found = Vendors([("slow", f"{pages.url}/hangs")], within_s=0.05).wait()
    assert found == [VendorStatus("slow", None, "could not be reached")]


def test_all_are_asked_at_once(pages: Pages) -> None:
    vendors = Vendors([(f"slow {n}", f"{pages.url}/hangs") for n in range(4)], within_s=30)
    pages.released.set()
    assert {each.text for each in vendors.wait()} == {"could not be reached"}  # a 500, from each of them


def test_the_command_shows_what_vendors_say_and_its_exit_code_is_its_own(pages: Pages, tmp_path: Any) -> None:
    listed = f"Stripe={pages.url}/ill, PlanetScale={pages.url}/well,Upstash=http://127.0.0.1:1/x"
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/none.db",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "VENDOR_STATUS_PAGES": listed,
    }
    done = run_here("status", **environment)
    assert "All Systems Operational" in done.stdout
    assert "unknown: could not be reached" in done.stdout
    assert "Outage" in done.stdout
    assert "\x1b" not in done.stdout
    said = json.loads(run_here("status", "--json", **environment).stdout)
    assert [(each["name"], each["well"]) for each in said["vendors"]] == [
        ("Stripe", False),
        ("PlanetScale", True),
        ("Upstash", None),
    ]
    without = run_here("status", **{**environment, "VENDOR_STATUS_PAGES": ""})
    assert "says of itself" not in without.stdout
    assert without.returncode == done.returncode


def test_the_pages_of_the_portals_vendors_are_known() -> None:
    listed = Settings.model_fields["vendor_status_pages"].default
    names = [name for name, _ in read_pages(listed)]
    assert names == ["Stripe", "PlanetScale", "Upstash", "Resend", "Vercel"]


@pytest.mark.parametrize("listed", ["Stripe", "Stripe=status.stripe.com", "=https://x.com", "A=http://x.com"])
def test_a_list_that_does_not_read_is_refused(listed: str) -> None:
    with pytest.raises(ValueError, match="has no https address"):
        read_pages(listed)
