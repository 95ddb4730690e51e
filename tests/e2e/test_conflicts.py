"""What cannot be resolved from the event is asked of Stripe, and Stripe is believed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_stripe import FakeStripe
from tests.support.lives import event_body, payout_object
from tests.support.servers import wait_until
from tests.support.stack import Stack

ACCOUNT = "acct_1Made"


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        yield running


def event_row(stack: Stack, event_id: str) -> Any:
    found = stack.rows("SELECT * FROM inbox WHERE event_id = :id", id=event_id)
    return found[0] if found else None


def wait_status(stack: Stack, event_id: str, status: str, within_s: float = 30) -> Any:
    wait_until(
        f"{event_id} is {status}: {event_row(stack, event_id)}",
        lambda: (row := event_row(stack, event_id)) is not None and row.status == status,
        within_s,
    )
    return event_row(stack, event_id)


def alerts(stack: Stack) -> list[str]:
    rows = stack.rows("SELECT body FROM outbox WHERE name = 'alert.payout_conflict'")
    return [json.loads(row.body)["text"] for row in rows]


def deliver_conflict(stack: Stack, first: str, then: str) -> None:
    for number, status in enumerate((first, then)):
        body = event_body(f"evt_{number}", status, payout_object("po_1", status), account=ACCOUNT)
        assert stack.post(body).status_code == 200
        if not number:
            wait_status(stack, "evt_0", "applied")


def test_without_a_key_the_conflict_waits_and_says_for_what(sqlite_stack: Stack) -> None:
    sqlite_stack.start("receiver", "worker", "scheduler")

    deliver_conflict(sqlite_stack, "failed", "canceled")
    wait_until(
        "the event says what it waits for",
        lambda: "STRIPE_API_KEY" in (getattr(event_row(sqlite_stack, "evt_1"), "reason", None) or ""),
    )

    row = event_row(sqlite_stack, "evt_1")
    assert (row.status, row.attempts) == ("deferred", 0)
    assert sqlite_stack.count("SELECT COUNT(*) FROM inbox_attempts") == 0
    assert sqlite_stack.payouts()["po_1"]["status"] == "failed"


@pytest.mark.parametrize(("first", "then"), [("failed", "canceled"), ("canceled", "failed")])
def test_a_conflict_ends_as_stripe_says(stack: Stack, fake: FakeStripe, first: str, then: str) -> None:
    fake.payouts["po_1"] = payout_object("po_1", then)
    stack.start("receiver", "scheduler")
    stack.start("worker", **fake.settings)

    deliver_conflict(stack, first, then)
    wait_status(stack, "evt_1", "applied")

    assert stack.payouts()["po_1"]["status"] == then
    assert ("/v1/payouts/po_1", ACCOUNT) in fake.asked
    assert alerts(stack) == [f"conflict: {then} after {first}; Stripe is asked which holds"]
    steps = stack.rows("SELECT from_status, to_status FROM payout_transitions ORDER BY id")
    assert [tuple(step) for step in steps] == [(None, first), (first, then)]


def test_a_conflict_that_stripe_does_not_confirm_changes_nothing(
    sqlite_stack: Stack, fake: FakeStripe
) -> None:
    fake.payouts["po_1"] = payout_object("po_1", "failed")
    sqlite_stack.start("receiver", "scheduler")
    sqlite_stack.start("worker", **fake.settings)

    deliver_conflict(sqlite_stack, "failed", "canceled")
    row = wait_status(sqlite_stack, "evt_1", "ignored")

    assert row.reason == "already failed"
    assert sqlite_stack.payouts()["po_1"]["status"] == "failed"
    assert sqlite_stack.count("SELECT COUNT(*) FROM payout_transitions") == 1
    assert alerts(sqlite_stack) == ["conflict: canceled after failed; Stripe is asked which holds"]


def test_a_stripe_that_fails_is_asked_again_and_no_attempt_is_counted(
    sqlite_stack: Stack, fake: FakeStripe
) -> None:
    fake.payouts["po_1"] = payout_object("po_1", "canceled")
    fake.faults = [500] * 3  # as many as one look-up waits out in place
    sqlite_stack.start("receiver", "scheduler")
    sqlite_stack.start("worker", **fake.settings)

    deliver_conflict(sqlite_stack, "failed", "canceled")
    waiting = "SELECT 1 FROM inbox WHERE event_id = 'evt_1' AND reason LIKE 'Stripe said%'"
    wait_until("it waits for Stripe", lambda: sqlite_stack.rows(waiting), 40)
    with sqlite_stack.engine.begin() as connection:  # its minute is over
        connection.exec_driver_sql("UPDATE inbox SET due_at_ms = 0 WHERE status = 'deferred'")
    row = wait_status(sqlite_stack, "evt_1", "applied", 40)

    assert row.attempts == 0
    assert sqlite_stack.rows("SELECT 1 FROM inbox_attempts") == []
    assert sqlite_stack.payouts()["po_1"]["status"] == "canceled"


def test_a_payout_that_stripe_does_not_know_makes_the_event_dead(
    sqlite_stack: Stack, fake: FakeStripe
) -> None:
    sqlite_stack.start("receiver", "scheduler")
    sqlite_stack.start("worker", **fake.settings)

    deliver_conflict(sqlite_stack, "failed", "canceled")
    row = wait_status(sqlite_stack, "evt_1", "dead")

    assert "resource_missing" in row.last_error
    assert "No such payout" in row.last_error
    assert row.attempts == 1
    assert sqlite_stack.payouts()["po_1"]["status"] == "failed"


def test_a_refused_key_holds_the_event_up_without_counting_an_attempt(
    sqlite_stack: Stack, fake: FakeStripe
) -> None:
    sqlite_stack.start("receiver", "scheduler")
    sqlite_stack.start("worker", **{**fake.settings, "STRIPE_API_KEY": "sk_test_other"})

    deliver_conflict(sqlite_stack, "failed", "canceled")
    wait_until(
        "the event says what it waits for",
        lambda: "check STRIPE_API_KEY" in (getattr(event_row(sqlite_stack, "evt_1"), "reason", None) or ""),
    )

    row = event_row(sqlite_stack, "evt_1")
    assert (row.status, row.attempts) == ("deferred", 0)


def thin_event(event_id: str, payout_id: str) -> bytes:
    return json.dumps(
        {
            "id": event_id,
            "object": "v2.core.event",
            "type": "v1.payout.paid",
            "livemode": False,
            "created": "2026-11-01T00:00:00.000Z",
            "context": ACCOUNT,
            "related_object": {"id": payout_id, "type": "payout", "url": f"/v1/payouts/{payout_id}"},
        }
    ).encode()


def test_a_thin_event_is_fetched(sqlite_stack: Stack, fake: FakeStripe) -> None:
    fake.payouts["po_9"] = payout_object("po_9", "paid")
    sqlite_stack.start("receiver", "scheduler")
    sqlite_stack.start("worker", **fake.settings)

    assert sqlite_stack.post(thin_event("evt_thin", "po_9")).status_code == 200
    wait_status(sqlite_stack, "evt_thin", "applied")

    assert sqlite_stack.payouts()["po_9"] == {
        "status": "paid",
        "amount_minor": 12_345,
        "currency": "eur",
        "account": ACCOUNT,
    }
    assert fake.asked == [("/v1/payouts/po_9", ACCOUNT)]
