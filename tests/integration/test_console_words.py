"""Every page of the console, read for what no person wrote: leftovers of templates, merges and Python."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.routing import compile_path

from console.web.pages import PAGES
from payouts.clock import iso, now_ms
from payouts.difference import DifferenceKind, Finding
from payouts.errors import PayoutsError
from payouts.people import Role
from payouts.storage.difference_rows import report
from payouts.storage.schema import metadata
from tests.support.catching_up import DAY_S, Catcher
from tests.support.crawl import crawl
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.payout_site import PayoutSite
from tests.support.sent import keep_messages
from tests.support.site import Visit
from tests.support.world import World

MOST_PAGES = 250
NOT_PAGES = {"/find", "/partners/{key}/statement.csv"}
"""A redirect, and a file."""
STRAY = {
    "a template": r"\{\{|\{%|%\}|\{#",
    "a merge": r"<{7}|={7}|>{7}",
    "Python": r"\b(?:None(?!,? [a-z])|True|False)\b|\bobject at 0x|<(?:class|function) |datetime\.|Decimal\(",
    "an enum": r"\b[A-Z][A-Za-z]+(?:Status|State|Kind|Scope|Role|Level|Mode)\.[A-Z_]+\b",
    "a script": r"\bundefined\b|\[object Object\]|\bNaN\b",
    "HTML as text": r"</?(?:span|div|a|p|b|td|time|table|small)\b[^>]*>|&(?:lt|gt|amp|quot|#\d+);",
}


class BadAmountError(PayoutsError):
    """Cannot heal."""


@pytest.fixture
def at(tmp_path: Path) -> Iterator[PayoutSite]:
    """Something of everything that pages show."""
    made = PayoutSite(migrated_file(tmp_path / "payouts.db"))
    keep_messages(made.site)
    made.returned()
    made.held()
    made.unclear()
    made.waiting()
    world = World(made.story.engine)
    ids = world.add(*(event_body(f"evt_d{n}", "paid", payout_object(f"po_d{n}", "paid")) for n in range(3)))

    def refuse(*_: Any, **__: Any) -> Any:
        raise BadAmountError("an amount is odd")

    world.apply(ids, refuse)
    catcher = Catcher(made.story.engine)
    catcher.clock.now_ms = now_ms() - DAY_S * 1000
    catcher.happens(2)
    catcher.clock.now_ms = now_ms()
    catcher.prove()
    catcher.prove()
    with made.story.engine.begin() as connection:
        for subject, kind in (("po_1", DifferenceKind.AMOUNT), ("po_2", DifferenceKind.STATUS)):
            found = Finding(kind, "acct_1", subject, "it differs", "payouts show", "eur", "10.00", "12.00")
            report(connection, [found], made.story.make_id, now_ms())
    yield made
    made.close()


def press(anna: Visit, at: PayoutSite) -> None:
    """What people do, so that there are verbs, batches, blocks and notes of it."""
    hour_ms = 3_600_000
    starts, ends = iso(now_ms() + hour_ms) or "", iso(now_ms() + 2 * hour_ms) or ""
    anna.send("/operations", "/operations/announce", starts=starts, ends=ends, text="New disks.")
    payout_limits = "/operations/payout-limits"
    anna.send(payout_limits, payout_limits, kind="daily", value="500.00", currency="eur", reason="four eyes")
    limits = "/operations/limits"
    a_day = {"for": "1d", "reason": "a flood"}
    anna.send(limits, f"{limits}/block", address="203.0.113.7", **a_day)
    anna.send(limits, f"{limits}/api-read/raise", most="90000", **a_day)
    anna.sent("/people/tokens", "/people/tokens", name="portal", scopes="read")
    anna.send("/replays/preview?event=evt_d0", "/replays", reason="mended")
    anna.send("/events/evt_d1", "/events/evt_d1/ignore", reason="a test of theirs")
    anna.send("/ledger/closes", "/ledger/closes")
    at.site.token("carl", Role.OPERATOR)


def test_no_page_shows_what_no_person_wrote(at: PayoutSite) -> None:
    anna = at.site.visit()
    press(anna, at)
    read, strange = [], []

    def links_of(path: str) -> list[str]:
        answer = anna.client.get(path)
        if "text/html" not in answer.headers.get("content-type", ""):
            return []
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        read.append(path)
        strange.extend(f"{path}: {each}" for each in stray_in(answer.text))
        links = [
            urljoin(path, unescape(link)) for link in re.findall(r'<a\b[^>]*?href="([^"#]+)', answer.text)
        ]
        return [link for link in links if link.startswith("/")]

    tables = [f"/data/{table.name}/list" for table in metadata.sorted_tables]
    for _ in crawl(["/", *tables], links_of, MOST_PAGES):
        pass
    assert strange == []
    unread = [
        path for path in pages() if not any(compile_path(path)[0].match(urlsplit(at).path) for at in read)
    ]
    assert unread == []


def pages() -> list[str]:
    return [
        path
        for page in PAGES
        for method, path, *_ in page
        if method == "GET" and path not in NOT_PAGES and "unredacted" not in path
    ]


def stray_in(html: str) -> list[str]:
    """What is strange in what a page shows: its words, and the texts of its attributes."""
    html = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    attributes = re.findall(r'\b(?:title|aria-label|placeholder|value|alt|content)="([^"]*)"', html)
    texts = [unescape(text) for text in (*re.findall(r">([^<]+)<", html), *attributes)]
    return [
        f"{what}: …{text[max(0, found.start() - 40) : found.end() + 40]!r}"
        for text in texts
        for what, pattern in STRAY.items()
        if (found := re.search(pattern, text))
    ]


@pytest.mark.parametrize(
    "html",
    [
        "<p>{{ title }}</p>",
        "<p>&lt;span class=x&gt;3&lt;/span&gt;</p>",
        "<td>None</td>",
        "<p>&lt;function said at 0x7f&gt;</p>",
        "<td>EventStatus.DEAD</td>",
        "<p>\n&lt;&lt;&lt;&lt;&lt;&lt;&lt; HEAD\n</p>",
        '<input value="undefined">',
        "<b>[object Object]</b>",
        "<p>Nord &amp;amp; Sons</p>",
    ],
)
def test_what_is_strange_is_noticed(html: str) -> None:
    assert stray_in(html) != []
    assert stray_in("<p>None of it was {paid}: a &lt; b</p>".replace("None", "Nothing")) == []
