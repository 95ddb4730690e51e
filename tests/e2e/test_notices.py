"""What happens to payouts is told to others: by every channel, promptly, and whatever is killed meanwhile."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.test_crashes import wait_dead
from tests.support.lives import event_body, make_lives, payout_object
from tests.support.senders import Senders
from tests.support.servers import wait_until
from tests.support.stack import Stack


@pytest.fixture
def told(stack: Stack, tmp_path: Path) -> Path:
    """The folder that the stack's notices are written to."""
    stack.env["NOTICE_FOLDER"] = str(tmp_path / "notices")
    return tmp_path / "notices"


def logged(stack: Stack, name: str = "worker") -> Counter[int]:
    """How often each notice was logged as delivered."""
    lines = [json.loads(line) for line in stack.said(name).splitlines() if line.startswith("{")]
    return Counter(int(line["notice_id"]) for line in lines if line["event"] == "notice.delivered")


def wait_told(stack: Stack, within_s: float = 30) -> None:
    wait_until(
        "every notice is delivered",
        lambda: not stack.rows("SELECT id FROM outbox WHERE status <> 'delivered' LIMIT 1"),
        within_s,
    )


def test_two_thousand_events_leave_nothing_untold_and_nothing_told_twice(stack: Stack, told: Path) -> None:
    lives = make_lives(800, seed=91)
    assert lives.events >= 2_000
    stack.start("receiver", "worker", "worker:2", "scheduler")
    assert Senders(stack, lives.bodies, 16, tries=3).start().join().left_out == []
    stack.wait_applied(60)
    wait_told(stack)

    written = {row.id: row for row in stack.rows("SELECT id, name, body FROM outbox")}
    assert len(written) >= 800
    files = {int(file.stem): json.loads(file.read_text()) for file in told.iterdir()}
    assert {row_id: (file["name"], file["body"]) for row_id, file in files.items()} == {
        row_id: (row.name, json.loads(row.body)) for row_id, row in written.items()
    }
    assert logged(stack) + logged(stack, "worker:2") == Counter(written.keys())
    assert stack.rows("SELECT id FROM notice_deliveries WHERE status <> 'delivered'") == []


def test_a_worker_killed_before_it_records_delivers_again_and_forgets_nothing(
    stack: Stack, told: Path
) -> None:
    lives = make_lives(30, seed=92)
    stack.start("receiver", "scheduler")
    stack.start("worker", CRASH_AT="tell.before_record")
    stack.deliver(lives.bodies)
    wait_dead(stack, "worker")
    first = logged(stack)
    # Each channel has a thread of its own: one of them came so far.
    assert first or list(told.glob("*.json")), "it died before it delivered anything"
    claimed = stack.count("SELECT COUNT(*) FROM notice_deliveries WHERE status = 'pending'")
    assert claimed >= len(first), "it died after it had recorded"

    # As if the lease had run out.
    with stack.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE notice_deliveries SET due_at_ms = 0 WHERE status = 'pending'")
    stack.start("worker")
    stack.wait_applied()
    wait_told(stack)

    written = {row.id for row in stack.rows("SELECT id FROM outbox")}
    assert logged(stack) == Counter(written) + first
    assert {int(file.stem) for file in told.iterdir()} == written


def test_a_notice_is_told_within_seconds_though_no_hint_comes(stack: Stack, told: Path) -> None:
    stack.env["SWEEP_INTERVAL_S"] = "2"
    stack.start("receiver", "worker", "scheduler")
    wait_until("the worker works", lambda: "worker.started" in stack.said("worker"))
    wait_until("the scheduler works", lambda: "scheduler.started" in stack.said("scheduler"))
    stack.post(event_body("evt_1", "paid", payout_object("po_1", "paid")))
    stack.wait_applied()
    began = time.monotonic()
    wait_until("the notice is in the folder", lambda: told.exists() and any(told.glob("*.json")), 10)
    assert time.monotonic() - began < 3


def test_a_folder_that_comes_back_gets_what_it_missed(stack: Stack, told: Path) -> None:
    told.write_text("a file in the folder's place")
    stack.start("receiver", "worker", "scheduler")
    stack.deliver(make_lives(5, seed=93).bodies)
    stack.wait_applied()
    wait_until("the folder fails", lambda: "notices.retrying" in stack.said("worker"))
    wait_until("the log has them", lambda: len(logged(stack)) == stack.count("SELECT COUNT(*) FROM outbox"))
    told.unlink()
    wait_told(stack)
    assert set(logged(stack).values()) == {1}
    assert len(list(told.glob("*.json"))) == len(logged(stack))
