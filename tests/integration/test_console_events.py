"""The list of events in the console: filters that hardly meet are looked for a stretch at a time."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from console.web import window
from payouts.storage.event_queries import events, reach
from payouts.storage.queries import Filters
from payouts.storage.tables import inbox
from tests.support.databases import migrated_file
from tests.support.site import Site, Visit

RARE = 7
"""The one event of the common type that has the common status."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


def fill(connection: Connection, count: int) -> None:
    """Half of the events are balances that were ignored, half payouts that were applied; one is both."""
    connection.execute(sa.insert(inbox), [_event(number) for number in range(1, count + 1)])


def _event(number: int) -> dict[str, object]:
    is_balance = number % 2 == 1
    return {
        "id": number,
        "event_id": f"evt_{number}",
        "account": f"acct_{number % 3}",
        "type": "balance.available" if is_balance else "payout.paid",
        "kind": "snapshot",
        "livemode": False,
        "source": "webhook",
        "received_at_ms": number,
        "status": "ignored" if is_balance and number != RARE else "applied",
        "due_at_ms": number,
        "attempts": 0,
        "resends": 0,
        "payload": b"{}",
    }


def pages(visit: Visit, path: str) -> list[list[str]]:
    """The events of each page, from the first one to the last."""
    found = []
    while path:
        found.append([row["event_id"] for row in visit.json(path)])
        link = re.search(r'<a href="([^"]*)" rel="next"', visit.get(path))
        path = unescape(link[1]) if link else ""
    return found


def test_filters_that_hardly_meet_stop_and_say_how_to_look_further(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.engine.begin() as connection:
        fill(connection, 60)
    monkeypatch.setattr(window, "LOOKED_AT", 10)
    anna = site.visit()
    path = "/events?type=balance.available&status=applied"
    page = anna.reads(path)
    assert "10 events with this" in page
    assert "Look further back" in page
    found = pages(anna, path)
    assert [event for each in found for event in each] == [f"evt_{RARE}"]
    assert len(found) > 1


def test_of_several_filters_the_one_that_leads_furthest_is_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.engine.begin() as connection:
        fill(connection, 60)
        connection.execute(sa.update(inbox).where(inbox.c.id == 1).values(type="account.updated"))
        connection.execute(sa.update(inbox).where(inbox.c.id.in_([2, 4])).values(account="acct_few"))
    monkeypatch.setattr(window, "LOOKED_AT", 10)
    anna = site.visit()
    # Few events have one of the values: all of those are looked at, at once.
    assert pages(anna, "/events?type=account.updated&status=ignored") == [["evt_1"]]
    assert pages(anna, "/events?status=applied&account=acct_few") == [["evt_4", "evt_2"]]
    assert pages(anna, "/events?status=ignored&account=acct_few&type=payout.paid") == [[]]


def test_events_of_several_filters_are_all_found_in_pages(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.engine.begin() as connection:
        fill(connection, 400)
    monkeypatch.setattr(window, "LOOKED_AT", 40)
    found = pages(site.visit(), "/events?type=payout.paid&account=acct_1")
    wanted = [f"evt_{n}" for n in range(400, 0, -1) if n % 2 == 0 and n % 3 == 1]
    assert [event for each in found for event in each] == wanted


def test_a_page_reads_no_more_events_than_it_says(shared_engine: Engine) -> None:
    count, most = 4_000, 100
    with shared_engine.begin() as connection:
        fill(connection, count)
    if shared_engine.dialect.name == "mariadb":
        with shared_engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE TABLE inbox")
    filters = Filters({"type": "balance.available", "status": "applied"}, before_id=count - 500)
    with shared_engine.connect() as connection:
        before = _rows_read(connection)
        column, floor = reach(connection, filters, most)
        assert column
        assert floor
        # What is counted is read a second time; then the page itself.
        assert not events(connection, Filters(filters.equal, floor, filters.before_id), 51, by=column)
        assert _rows_read(connection) - before <= 5 * most + 50


def _rows_read(connection: Connection) -> int:
    """How many rows this connection has read in order; SQLite does not say: none."""
    if connection.dialect.name != "mariadb":
        return 0
    told = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read_%%'")
    return sum(int(value) for name, value in told if name.endswith(("_prev", "_next", "_rnd")))
