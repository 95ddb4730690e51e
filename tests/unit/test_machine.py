"""Decisions, against a small model of the rule of rank that knows nothing of the code."""

import dataclasses
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.event import PayoutObject, read_payout_object
from payouts.machine import PAYOUT_COLUMNS, Applied, Dead, Deferred, Ignored, Payout, decide
from payouts.states import DOMAIN_EVENT, PayoutStatus
from tests.support.lives import payout_object

ACCOUNT = "acct_1Made"
STATES = ["pending", "in_transit", "paid", "reversed", "failed", "canceled"]
KNOWN: list[str | None] = [None, *STATES]


def model(held: str | None, seen: str) -> str:
    """What must come of it, from Stripe's description: in order of how far the money is along."""
    ends = ("failed", "canceled")
    if held == seen:
        return "ignored"
    if held in ends and seen in ends:
        return "deferred"
    if held is None:
        return "applied"
    road = ["pending", "in_transit", "paid", "reversed", "an end"]
    place = {state: road.index("an end" if state in ends else state) for state in STATES}
    return "applied" if place[seen] > place[held] else "ignored"


def seen(status: str, **more: Any) -> PayoutObject:
    return read_payout_object(json.dumps(payout_object("po_1", status, **more)).encode())


def held(status: str | None, **more: Any) -> Payout:
    values: dict[str, Any] = dict.fromkeys(PAYOUT_COLUMNS)
    values |= {"id": 1, "stripe_id": "po_1", "account": ACCOUNT, "amount_minor": 12_345, "currency": "eur"}
    values |= {"status": None if status is None else PayoutStatus(status), "origin": "foreign"}
    return Payout(**{**values, "livemode": False, "created_at_ms": 0, "updated_at_ms": 0, **more})


KIND = {Applied: "applied", Ignored: "ignored", Deferred: "deferred", Dead: "dead"}


@pytest.mark.parametrize(("before", "after"), [*itertools.product(KNOWN, STATES)])
def test_every_state_seen_in_every_state_does_what_the_model_says(before: str | None, after: str) -> None:
    decision = decide(held(before), seen(after), ACCOUNT)
    assert KIND[type(decision)] == model(before, after)
    if isinstance(decision, Applied):
        assert decision.transition is not None
        assert (decision.transition.from_status, decision.transition.to_status) == (before, after)
        assert decision.changes["status"] == after
        assert "unknown_status" not in decision.changes
        assert decision.alerts == ()
    elif isinstance(decision, Ignored):
        expected = f"already {after}" if before == after else f"late: {after} after {before}"
        assert decision.reason == expected
    else:
        assert isinstance(decision, Deferred)
        assert decision.ask_stripe
        assert [alert.name for alert in decision.alerts] == ["alert.payout_conflict"]


@pytest.mark.parametrize("after", STATES)
def test_a_first_sight_at_any_state_is_applied(after: str) -> None:
    decision = decide(None, seen(after), ACCOUNT)
    assert isinstance(decision, Applied)
    assert decision.transition is not None
    assert (decision.transition.from_status, decision.transition.to_status) == (None, after)


@pytest.mark.parametrize(("before", "after"), [*itertools.product(KNOWN, STATES)])
def test_an_answer_of_stripes_settles_a_conflict_and_changes_no_other_decision(
    before: str | None, after: str
) -> None:
    asked = decide(held(before), seen(after), ACCOUNT, confirmed=True)
    if model(before, after) != "deferred":
        assert KIND[type(asked)] == model(before, after)
        return
    assert isinstance(asked, Applied)
    assert asked.transition is not None
    assert (asked.transition.from_status, asked.transition.to_status) == (before, after)
    assert asked.transition.reason == f"conflict with {before}: Stripe confirms {after}"


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize(("before", "after"), [*itertools.product(STATES, STATES)])
@pytest.mark.parametrize(
    ("change", "account", "said"),
    [
        ({"amount": 12_346}, ACCOUNT, "12346 eur"),
        ({"amount": -12_345}, ACCOUNT, "-12345 eur"),
        ({"currency": "usd"}, ACCOUNT, "12345 usd"),
        ({}, "acct_other", "the event to acct_other"),
        ({}, "platform", "the event to platform"),
    ],
)
def test_another_amount_currency_or_account_is_dead_in_every_state(
    before: str, after: str, change: dict[str, Any], account: str, said: str, confirmed: bool
) -> None:
    decision = decide(held(before), seen(after, **change), account, confirmed=confirmed)
    assert isinstance(decision, Dead)
    assert said in decision.reason


def test_the_case_of_a_currency_is_no_other_currency() -> None:
    assert isinstance(decide(held("pending"), seen("paid", currency="EUR"), ACCOUNT), Applied)


@pytest.mark.parametrize("before", KNOWN)
@pytest.mark.parametrize("status", ["brand_new", "reversed_", "", "x" * 300])
def test_an_unknown_status_moves_nothing_and_is_reported_once(before: str | None, status: str) -> None:
    strange = read_payout_object(json.dumps(payout_object("po_1", "paid") | {"status": status}).encode())
    first = decide(held(before), strange, ACCOUNT)
    assert isinstance(first, Applied)
    assert first.transition is None
    assert first.changes == {"unknown_status": status[:64]}
    assert [alert.name for alert in first.alerts] == ["alert.payout_status_unknown"]
    again = decide(held(before, unknown_status=status[:64]), strange, ACCOUNT)
    assert isinstance(again, Ignored)


def test_a_first_sight_of_an_unknown_status_waits_without_a_state() -> None:
    strange = read_payout_object(json.dumps(payout_object("po_1", "paid") | {"status": "brand_new"}).encode())
    decision = decide(None, strange, ACCOUNT)
    assert isinstance(decision, Applied)
    assert decision.transition is None
    assert "status" not in decision.changes


def test_an_unknown_status_stays_noted_whichever_came_first() -> None:
    """Else a replay of its event would note it anew."""
    decision = decide(held(None, unknown_status="brand_new"), seen("pending"), ACCOUNT)
    assert isinstance(decision, Applied)
    assert decision.changes["status"] == "pending"
    assert "unknown_status" not in decision.changes


@pytest.mark.parametrize("before", ["reversed", "failed", "canceled"])
def test_a_paid_that_comes_late_does_not_undo_what_came_after_it(before: str) -> None:
    decision = decide(held(before), seen("paid"), ACCOUNT)
    assert decision == Ignored(f"late: paid after {before}")


def test_a_payout_that_was_paid_and_came_back_keeps_its_new_facts() -> None:
    decision = decide(held("paid", trace_id="kept"), seen("failed"), ACCOUNT)
    assert isinstance(decision, Applied)
    assert decision.changes["failure_code"] == "account_closed"
    assert decision.changes["failure_balance_transaction"] == "txn_1Back"
    assert "trace_id" not in decision.changes


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"failure_code": "brand_new"}, "alert.payout_failure_code_unknown"),
        ({"method": "pigeon"}, "alert.payout_method_unknown"),
    ],
)
def test_an_unknown_value_of_an_open_string_is_taken_and_reported(change: dict[str, str], name: str) -> None:
    decision = decide(held("paid"), seen("failed", **change), ACCOUNT)
    assert isinstance(decision, Applied)
    assert [alert.name for alert in decision.alerts] == [name]
    assert change.items() <= decision.changes.items()


def test_a_reconciliation_is_noted_without_a_move_and_only_once() -> None:
    done = seen("paid", reconciliation_status="completed")
    assert decide(held("paid"), done, ACCOUNT) == Applied({"reconciliation_status": "completed"})
    assert decide(held("paid", reconciliation_status="completed"), done, ACCOUNT) == Ignored("already paid")


def test_a_reconciliation_that_is_complete_is_not_undone_by_a_later_state() -> None:
    decision = decide(held("paid", reconciliation_status="completed"), seen("failed"), ACCOUNT)
    assert isinstance(decision, Applied)
    assert "reconciliation_status" not in decision.changes


def test_a_trace_that_comes_after_the_state_is_noted_and_never_overwritten() -> None:
    traced = seen("paid", trace_id={"status": "supported", "value": "T1"})
    assert decide(held("paid"), traced, ACCOUNT) == Applied({"trace_id": "T1"})
    assert isinstance(decide(held("paid", trace_id="T0"), traced, ACCOUNT), Ignored)


def test_a_late_event_adds_no_details() -> None:
    late = seen("paid", reconciliation_status="completed", trace_id={"status": "supported", "value": "T1"})
    assert decide(held("failed"), late, ACCOUNT) == Ignored("late: paid after failed")


def test_values_longer_than_their_columns_are_cut_to_fit() -> None:
    long = "é" * 2000
    whole = seen(
        "failed",
        **dict.fromkeys(("failure_code", "failure_message", "method", "reconciliation_status"), long),
        **dict.fromkeys(("destination", "balance_transaction", "original_payout"), long),
        trace_id={"status": "supported", "value": long},
    )
    decision = decide(None, whole, ACCOUNT)
    assert isinstance(decision, Applied)
    limits = {"failure_code": 128, "failure_message": 1000, "method": 64, "reconciliation_status": 64}
    limits |= {"destination": 255, "balance_transaction": 255, "original_payout": 255, "trace_id": 255}
    assert {name: len(decision.changes[name]) for name in limits} == limits


# Any sequence


def walk(statuses: list[str]) -> tuple[str | None, list[tuple[str | None, str]]]:
    """The state that a row of events leads to, and the moves made on the way."""
    payout: Payout | None = None
    moves: list[tuple[str | None, str]] = []
    for status in statuses:
        decision = decide(payout, seen(status), ACCOUNT)
        if not isinstance(decision, Applied):
            continue
        payout = dataclasses.replace(payout or held(None), **decision.changes)
        if decision.transition:
            move = decision.transition
            moves.append((move.from_status and str(move.from_status), str(move.to_status)))
    return (str(payout.status) if payout and payout.status else None), moves


ROAD = ["pending", "in_transit", "paid", "reversed"]
_lives = st.tuples(
    st.lists(st.sampled_from(ROAD), max_size=8),
    st.sampled_from(["failed", "canceled"]),
    st.integers(0, 2),
).flatmap(lambda life: st.permutations([*life[0], *[life[1]] * life[2]]))


@given(statuses=_lives)
def test_any_order_and_repetition_of_a_life_ends_furthest_along_and_never_goes_back(
    statuses: list[str],
) -> None:
    place = {None: -1, **{state: at for at, state in enumerate(ROAD)}, "failed": 9, "canceled": 9}
    end, moves = walk(statuses)
    assert end == max(statuses, key=lambda status: place[status], default=None)
    for before, after in moves:
        assert place[after] > place[before]
    told = [DOMAIN_EVENT[PayoutStatus(after)] for _, after in moves]
    assert len(told) == len(set(told))


@given(statuses=st.lists(st.sampled_from(STATES), max_size=12))
def test_a_life_that_contradicts_itself_keeps_the_first_end_it_saw(statuses: list[str]) -> None:
    end, moves = walk(statuses)
    first_end = next((status for status in statuses if status in ("failed", "canceled")), None)
    if first_end:
        assert end == first_end
    assert [before for before, _ in moves][1:] == [after for _, after in moves][:-1]


def test_every_permutation_of_a_whole_life_ends_the_same() -> None:
    for order in itertools.permutations(["pending", "in_transit", "paid", "reversed", "failed"]):
        assert walk(list(order))[0] == "failed"
