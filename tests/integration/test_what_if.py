"""A preview says what a replay would change, does none of it, and guesses no answer of Stripe's."""

from collections.abc import Iterator
from typing import Any

import pytest

from payouts.batch import Rules
from payouts.calls import Call
from payouts.desk import SendingRules
from payouts.event import read_envelope
from payouts.machine import decide
from payouts.readiness import GateRules
from payouts.replay import Selection
from payouts.states import EventStatus
from payouts.storage import inbox
from payouts.storage.inbox import NewEvent
from payouts.storage.replay_rows import newest_id
from payouts.what_if import Change, WhatIf
from tests.support.lives import event_body, payout_object
from tests.support.replays import Replays
from tests.support.story import Story
from tests.support.world import World, world_on


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with world_on(database_url) as made:
        yield made


def what_if(world: World, decide: Any = decide) -> WhatIf:
    rules = Rules(world.make_id, lambda: world.now_ms, "what-if", 3, decide)
    sending = SendingRules(world.make_id, lambda: world.now_ms, "what-if", GateRules(0, False))
    return WhatIf(world.engine, rules, sending)


def preview(world: World, decide: Any = decide, **wanted: Any) -> dict[str, Change]:
    tries = what_if(world, decide)
    with world.engine.connect() as connection:
        until_id = newest_id(connection)
    events, more = tries.select(Selection(**wanted), until_id)
    assert not more
    return {change.subject: change for change in tries.preview(events)}


def broken(current: Any, seen: Any, account: str, *, confirmed: bool) -> Any:
    if seen.id.startswith("po_b"):
        raise ZeroDivisionError("a bug")
    return decide(current, seen, account, confirmed=confirmed)


def bury(world: World, *bodies: bytes) -> None:
    ids = world.add(*bodies)
    while set(world.statuses().values()) & {"received", "retrying"}:
        world.apply(ids, broken)
        world.now_ms += 3_600_000


def body(name: str, kind: str, status: str, number: int = 0) -> bytes:
    return event_body(f"evt_{name}_{number}", kind, payout_object(f"po_{name}", status))


def moves(change: Change) -> list[tuple[str, str | None, str]]:
    return [(move.subject, move.from_status, move.to_status) for move in change.written.moves]


def test_a_preview_shows_what_the_mended_code_would_do_and_does_nothing(world: World) -> None:
    bury(
        world, body("b1", "created", "pending"), body("b1", "paid", "paid", 1), body("b2", "failed", "failed")
    )
    before = world.snapshot()

    found = preview(world, status=EventStatus.DEAD)

    assert set(found) == {"po_b1", "po_b2"}
    assert moves(found["po_b1"]) == [("po_b1", None, "pending"), ("po_b1", "pending", "paid")]
    assert found["po_b1"].written.notices == ["payout.created", "payout.completed"]
    assert [(tried.status, tried.outcome) for tried in found["po_b1"].events] == [("dead", "applied")] * 2
    assert moves(found["po_b2"]) == [("po_b2", None, "failed")]
    assert world.snapshot() == before
    assert world.rows("SELECT status FROM inbox_failures WHERE status <> 'dead'") == []


def test_a_bug_that_is_still_there_is_shown_as_failing_again(world: World) -> None:
    bury(world, body("b1", "paid", "paid"))

    change = preview(world, broken, status=EventStatus.DEAD)["po_b1"]

    assert [(tried.outcome, tried.detail) for tried in change.events] == [
        ("dead", "ZeroDivisionError: a bug")
    ]
    assert change.is_nothing
    assert len(world.rows("SELECT id FROM inbox_attempts")) == 3


def test_what_was_right_already_is_shown_to_stay(world: World) -> None:
    world.apply(world.add(body("1", "paid", "paid")))
    change = preview(world, object_id="po_1")["po_1"]
    assert change.is_nothing
    assert [(tried.status, tried.outcome, tried.detail) for tried in change.events] == [
        ("applied", "ignored", "already paid")
    ]


def test_a_notice_that_was_told_before_is_not_shown_as_new(world: World) -> None:
    world.apply(world.add(body("1", "paid", "paid")))
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE payouts SET status = 'pending'")  # as a bug might have left it
    change = preview(world, object_id="po_1")["po_1"]
    assert moves(change) == [("po_1", "pending", "paid")]
    assert change.written.notices == []


def test_what_an_answer_of_stripes_would_decide_is_not_guessed(world: World) -> None:
    world.apply(world.add(body("c", "failed", "failed"), body("c", "canceled", "canceled", 1)))

    change = preview(world, events=("evt_c_1",))["po_c"]

    assert change.depends == ("po_c as Stripe has it now (payout.canceled)",)
    assert moves(change) == []
    assert not change.is_nothing


def test_a_preview_is_what_then_happens(world: World) -> None:
    bury(world, *(body(f"b{n}", "paid", "paid") for n in range(5)), body("b9", "failed", "failed"))
    found = preview(world, status=EventStatus.DEAD)
    expected = sorted(move for change in found.values() for move in moves(change))

    replays = Replays(world, None)
    replays.run(replays.ask(status=EventStatus.DEAD))

    rows = world.rows(
        "SELECT p.stripe_id, t.from_status, t.to_status FROM payout_transitions t "
        "JOIN payouts p ON p.id = t.payout_id"
    )
    assert sorted((row.stripe_id, row.from_status, row.to_status) for row in rows) == expected


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    made = Story(database_url)
    yield made
    made.engine.dispose()


def died(story: Story, *bodies: bytes) -> None:
    """Events that came and died, without an effect."""
    with story.engine.begin() as connection:
        for body in bodies:
            event = NewEvent(story.make_id(), read_envelope(body), inbox.WEBHOOK, None, story.clock(), body)
            inbox.add_events(connection, [event], story.make_id)
        connection.exec_driver_sql("UPDATE inbox SET status = 'dead', attempts = 3")


def changes(story: Story) -> list[Change]:
    sending = SendingRules(story.make_id, story.clock, "what-if", GateRules(0, False))
    tries = WhatIf(story.engine, Rules(story.make_id, story.clock, "what-if", 3), sending)
    events, _ = tries.select(Selection(since_ms=0), 2**62)
    return list(tries.preview(events))


def counts(story: Story) -> list[Any]:
    tables = ("ledger_transactions", "leg_attempts", "payout_transitions", "request_transitions", "outbox")
    return [story.value(f"SELECT COUNT(*) FROM {table}") for table in tables]


def test_postings_and_the_call_that_would_follow_are_shown(story: Story) -> None:
    request_id = story.ask(12_050)
    story.stripe.faults = ["lost after"]  # the transfer is made, its answer lost
    story.send(request_id)
    [transfer] = story.stripe.transfers.values()
    died(story, event_body("evt_t", "transfer.created", transfer, account=None))
    before = counts(story)

    [change] = changes(story)

    assert change.subject == f"pay_{request_id}"
    assert [(tried.outcome, tried.detail) for tried in change.events] == [("applied", "transfer done")]
    assert [(posted.kind, posted.by_kind) for posted in change.written.postings] == [
        ("transfer", {"stripe_balance": -12_050, "at_stripe": 12_050})
    ]
    assert change.calls == (f"payouts.create of 12050 eur for pay_{request_id}",)
    assert counts(story) == before
    assert len(story.stripe.calls) == 1


def test_a_payout_and_its_reversal_are_tried_together(story: Story) -> None:
    request_id = story.ask(12_050)
    story.send(request_id)
    [paid] = story.stripe.payouts.values()
    paid = {**payout_object(paid["id"], "paid", 12_050), "metadata": paid["metadata"]}
    reversal = payout_object("po_back", "paid", -12_050, original_payout=paid["id"])
    died(
        story,
        event_body("evt_paid", "paid", paid, account=story.nord.account),
        event_body("evt_back", "paid", reversal, account=story.nord.account),
    )
    before = counts(story)

    [change] = changes(story)

    assert change.subject == f"pay_{request_id}"
    assert [posted.kind for posted in change.written.postings] == ["payout_paid", "payout_reversal_paid"]
    ends = {move.subject: move.to_status for move in change.written.moves}
    assert ends[f"pay_{request_id}"] == "returned"
    assert counts(story) == before


def test_a_request_that_would_go_on_with_new_money_is_shown(story: Story) -> None:
    request_id = story.ask(12_050)
    story.stripe.refuse = {Call.TRANSFER: "balance_insufficient"}
    story.send(request_id)
    story.stripe.refuse = {}
    available = event_body("evt_b", "balance.available", {"object": "balance"}, account=None)
    died(story, available)

    [change] = changes(story)

    assert change.calls == (f"transfers.create of 12050 eur for pay_{request_id}",)
    assert not change.is_nothing
