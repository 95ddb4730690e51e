"""One event that cannot be applied never holds up its neighbours and never disappears: it is tried again
with growing waits, each attempt on record, or is dead with its error and stays."""

import json
from pathlib import Path
from typing import Any

from tests.support.lives import Lives, event_body, make_lives, payout_object
from tests.support.senders import check_applied_once
from tests.support.servers import wait_until
from tests.support.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
BACKOFF_MS = 300


def deliver_in_the_middle(stack: Stack, poison: bytes) -> Lives:
    """One batch with `poison` in the middle: all is delivered before a worker starts."""
    lives = make_lives(40, seed=101)
    middle = len(lives.bodies) // 2
    stack.start("receiver")
    assert set(stack.deliver([*lives.bodies[:middle], poison, *lives.bodies[middle:]], 1)) == {200}
    return lives


def start_quick_worker(stack: Stack, **env: str) -> None:
    env = {"BACKOFF_MS": str(BACKOFF_MS), "PYTHONPATH": str(ROOT), **env}
    stack.launch("worker", "tests.support.quick_worker", **env)


def poisoned(stack: Stack) -> Any:
    return stack.rows("SELECT * FROM inbox WHERE event_id = 'evt_poison'")[0]


def attempts(stack: Stack) -> list[Any]:
    return stack.rows("SELECT * FROM inbox_attempts ORDER BY id")


def wait_neighbours_applied(stack: Stack, lives: Lives, within_s: float = 30) -> None:
    wait_until(
        "the neighbours are applied",
        lambda: (
            not stack.rows(
                "SELECT 1 FROM inbox WHERE status NOT IN ('applied', 'ignored') AND event_id <> 'evt_poison'"
            )
        ),
        within_s,
    )
    held = stack.payouts()
    assert {key: held.get(key) for key in lives.expected} == lives.expected


def with_payout(**fields: Any) -> bytes:
    return event_body("evt_poison", "paid", payout_object("po_poison", "paid") | fields)


def test_what_cannot_be_read_is_dead_at_once(stack: Stack) -> None:
    lives = deliver_in_the_middle(stack, with_payout(amount="12.50"))
    stack.start("worker", "scheduler")
    wait_neighbours_applied(stack, lives)
    wait_until("the poison is dead", lambda: poisoned(stack).status == "dead")

    row = poisoned(stack)
    assert "data.object.amount" in row.last_error
    assert row.attempts == 1
    assert json.loads(row.payload)["id"] == "evt_poison"
    (attempt,) = attempts(stack)
    assert (attempt.inbox_id, attempt.attempt) == (row.id, 1)
    assert (attempt.error_class, attempt.error) == ("PayloadError", row.last_error)
    assert "Traceback" in attempt.traceback
    assert "po_poison" not in stack.payouts()
    check_applied_once(stack)


def test_what_the_database_refuses_fails_alone(stack: Stack) -> None:
    # Reads as a payout, but the time is larger than any database's integers.
    lives = deliver_in_the_middle(stack, with_payout(arrival_date=2**63 + 5))
    stack.start("worker", "scheduler", EVENT_MAX_ATTEMPTS="1")

    wait_neighbours_applied(stack, lives, 15)
    wait_until("the poison is dead", lambda: poisoned(stack).status == "dead")

    assert len(attempts(stack)) == 1
    check_applied_once(stack)


def test_what_fails_for_a_while_is_tried_again_with_growing_waits(stack: Stack) -> None:
    lives = deliver_in_the_middle(stack, with_payout())
    start_quick_worker(stack, FAIL="po_poison=3")  # no scheduler: delayed messages alone bring it back
    wait_until("the event is applied in the end", lambda: poisoned(stack).status == "applied")

    assert poisoned(stack).attempts == 3
    found = attempts(stack)
    assert [row.attempt for row in found] == [1, 2, 3]
    said = [f"made to fail for po_poison, {left} to come" for left in (2, 1, 0)]
    assert [row.error for row in found] == said
    assert {row.error_class for row in found} == {"ConnectionError"}
    times = [*(row.at_ms for row in found), poisoned(stack).processed_at_ms]
    for number in range(3):
        waited, full = times[number + 1] - times[number], BACKOFF_MS * 2**number
        assert full * 0.45 <= waited, f"wait {number + 1} of {times}"
    wait_neighbours_applied(stack, lives)
    last_neighbour = stack.count("SELECT MAX(processed_at_ms) FROM inbox WHERE event_id <> 'evt_poison'")
    assert last_neighbour < times[1], "the neighbours waited for the event that failed"
    assert stack.payouts()["po_poison"]["status"] == "paid"
    check_applied_once(stack)


def test_what_always_fails_is_dead_after_the_last_attempt_and_stays(stack: Stack) -> None:
    lives = deliver_in_the_middle(stack, with_payout())
    start_quick_worker(stack, FAIL="po_poison=99", EVENT_MAX_ATTEMPTS="3")
    stack.start("scheduler")
    wait_until("the event is dead", lambda: poisoned(stack).status == "dead")

    assert poisoned(stack).attempts == 3
    assert [row.attempt for row in attempts(stack)] == [1, 2, 3]
    wait_neighbours_applied(stack, lives)
    before = tuple(poisoned(stack))
    assert stack.post(with_payout()).status_code == 200  # delivered once more, it stays as it is
    stack.start("worker:2")
    wait_until("the worker works", lambda: "worker.started" in stack.said("worker:2"))
    assert tuple(poisoned(stack)) == before
    assert len(attempts(stack)) == 3
    assert "po_poison" not in stack.payouts()
