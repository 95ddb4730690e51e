"""What the live view shows of what the processes print."""

import io
import json

import pytest
from rich.console import Console

from console import feed as feed_module
from console.feed import LINES_PER_S, Feed


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> tuple[Feed, io.StringIO]:
    monkeypatch.setattr(feed_module.time, "monotonic", lambda: 100.0)
    screen = io.StringIO()
    return Feed(Console(file=screen, highlight=False)), screen


def test_a_flood_of_anything_is_summed_up(
    shown: tuple[Feed, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, screen = shown
    for number in range(LINES_PER_S + 7):
        feed.line("worker", json.dumps({"event": "event.applied", "event_id": f"evt_{number}", "type": "t"}))
        feed.line("receiver", json.dumps({"event": "webhook.rejected", "level": "warning"}))
    monkeypatch.setattr(feed_module.time, "monotonic", lambda: 101.0)
    feed.tick()
    lines = screen.getvalue().splitlines()
    assert len(lines) == 2 * LINES_PER_S + 1
    assert lines[-1].endswith("… and 14 more in this second: 7 applied, 7 receiver: webhook.rejected")


def test_missing_and_hostile_values_make_one_harmless_line(shown: tuple[Feed, io.StringIO]) -> None:
    feed, screen = shown
    feed.line("receiver", json.dumps({"event": "event.received", "event_id": None, "type": "a\x1b[2J\nb"}))
    assert len(screen.getvalue().splitlines()) == 1
    assert "\x1b" not in screen.getvalue()


def test_no_secret_shows_whichever_way_it_was_printed(shown: tuple[Feed, io.StringIO]) -> None:
    feed, screen = shown
    feed.line("worker", "cannot reach redis://:hunter2@127.0.0.1:1/0")
    feed.line("worker", json.dumps({"event": "x", "settings": {"secret": "whsec_hunter2"}}))
    assert "hunter2" not in screen.getvalue()
