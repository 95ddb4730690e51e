"""What the console reads of the last two days: once, bit by bit, before anybody asks for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from console.web import looks
from console.web.looks import recall_all
from payouts.clock import now_ms
from payouts.meters import EVENTS
from payouts.storage.minutes import HOURS_MOST, MINUTE_MS, SETTLED_MINUTES, Minutes
from tests.support.databases import migrated_file
from tests.support.site import Site

DAY_MINUTES = 24 * 60


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(looks, "RECALL_EVERY_S", 0)
    made = Site(migrated_file(tmp_path / "payouts.db"))
    with made.redis.pipeline() as pipe:
        for minutes_ago in (5, 90, DAY_MINUTES, 2 * DAY_MINUTES - 10):
            Minutes("payouts").add(pipe, now_ms() - minutes_ago * MINUTE_MS, {(EVENTS, "applied"): 7})
        pipe.execute()
    yield made
    made.close()


def left_to_read(site: Site) -> int:
    """How many of the settled minutes of two days a look would still ask for."""
    minutes = site.parts.looks._overviewer.minutes
    asked = minutes.ask(site.redis.pipeline(), now_ms(), HOURS_MOST * 60, SETTLED_MINUTES)
    return len(asked) - SETTLED_MINUTES


def test_two_days_of_counts_are_read_before_anybody_asks_for_them(site: Site) -> None:
    assert left_to_read(site) > 2_800
    asyncio.run(recall_all(site.parts.looks))
    assert left_to_read(site) <= 2  # a minute or two may settle meanwhile
    seen = site.parts.looks.look(HOURS_MOST).redis
    assert seen is not None
    assert [minute.applied for minute in seen.minutes if minute.applied] == [7, 7, 7, 7]


def test_a_redis_that_is_away_at_the_start_is_asked_by_the_first_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: int) -> None:
        raise redis.ConnectionError("nobody there")

    with monkeypatch.context() as changed:
        changed.setattr(site.parts.looks, "recall", away)
        asyncio.run(recall_all(site.parts.looks))
    assert site.visit().json("/?hours=48")["minutes"]
