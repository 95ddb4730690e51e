"""Reconciling: each kind of difference is found and named; the state machine heals it, or it is reported."""

import copy
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from payouts import mending, recording
from payouts.budget import Budget
from payouts.errors import GatewayError, PayoutsError
from payouts.ledger import Entry, funding
from payouts.partner import PartnerState
from payouts.people import Actor, Scope
from payouts.states import AttemptStatus, RequestStatus
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_rows import NO_PARTNER, post
from payouts.storage.partner_rows import PARTNERS
from tests.support.reconciling import ACCOUNT, PLENTY, Bench


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    made = Bench(database_url)
    yield made
    made.engine.dispose()


def test_books_that_agree_show_no_difference(bench: Bench) -> None:
    bench.sent()
    before = bench.everything()

    assert bench.compare(PLATFORM)
    assert bench.compare()

    assert bench.rows() == []
    assert bench.everything() == before
    assert bench.value("SELECT COUNT(*) FROM reconcile_seen") == 0


def test_a_payout_that_is_further_along_at_stripe_goes_through_the_state_machine(bench: Bench) -> None:
    request_id = bench.sent(1_500)
    bench.stripe.payouts["po_1"]["status"] = "paid"

    bench.compare()

    assert bench.status(request_id) == "paid"
    assert bench.balances(bench.first()) == {"paid": 1_500, "at_bank": 1_500}
    assert bench.healed() == [("status", "po_1", "by itself: pending → paid")]
    assert bench.alerts() == 0


def test_healing_twice_changes_nothing(bench: Bench) -> None:
    bench.sent()
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.compare()
    before, differences = bench.everything(), bench.rows()

    bench.compare()
    bench.compare(PLATFORM)

    assert bench.everything() == before
    assert bench.rows() == differences


def test_canceled_here_and_failed_at_stripe_is_believed_and_posted_once(bench: Bench) -> None:
    request_id = bench.sent()
    bench.stripe.payouts["po_1"]["status"] = "canceled"
    bench.compare()
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.compare()

    assert bench.value("SELECT status FROM payouts") == "failed"
    assert bench.status(request_id) == "returned"
    assert bench.balances(bench.first()) == {"returned": 1_000, "at_stripe": 1_000}


@pytest.mark.parametrize(("calls", "kind"), [(0, "transfer"), (1, "payout")])
def test_an_object_made_for_an_open_leg_is_recorded_and_the_request_goes_on(
    bench: Bench, calls: int, kind: str
) -> None:
    bench.stripe.faults = [""] * calls + ["lost after"]
    request_id = bench.sent()
    assert bench.status(request_id) == "sending"

    bench.compare(PLATFORM)
    bench.compare()

    done = bench.value("SELECT status FROM legs WHERE kind = :kind", kind=kind)
    attempt = bench.value("SELECT status FROM leg_attempts ORDER BY id DESC LIMIT 1")
    assert (done, attempt) == ("done", AttemptStatus.SUCCEEDED)
    found = {"transfer": "tr_1", "payout": "po_1"}[kind]
    assert bench.healed()[0][:2] == ("leg_open", found)
    assert bench.healed()[0][2].startswith("by itself: the open leg is recorded as made")
    bench.sender.send(request_id)
    assert bench.status(request_id) == "sent"
    assert (len(bench.stripe.transfers), len(bench.stripe.payouts)) == (1, 1)


def test_a_payout_of_which_no_event_came_is_recorded_as_foreign(bench: Bench) -> None:
    bench.sent()
    bench.stripe.payouts["po_9"] = {**bench.stripe.payouts["po_1"], "id": "po_9", "metadata": {}}

    bench.compare()

    assert bench.value("SELECT origin FROM payouts WHERE stripe_id = 'po_9'") == "foreign"
    assert bench.healed() == [("not_seen", "po_9", "by itself: not seen → pending")]


def test_a_payout_taken_for_foreign_is_linked_to_the_leg_that_it_names(bench: Bench) -> None:
    bench.stripe.faults = ["", "lost after"]
    request_id = bench.sent()
    named = bench.stripe.payouts["po_1"]
    hidden = {**named, "metadata": {}}
    bench.stripe.payouts["po_1"] = hidden
    bench.compare()
    bench.stripe.payouts["po_1"] = named

    bench.compare()

    assert bench.status(request_id) == "sent"
    assert bench.value("SELECT request_id FROM payouts") == request_id
    assert bench.balances(bench.first()) == {"in_transit": 1_000, "at_bank": 1_000}


@pytest.mark.parametrize("page_size", [100, 1], ids=["in one page", "on an earlier page"])
def test_a_reversal_that_carries_its_originals_metadata_returns_the_money_and_is_no_second_object(
    bench: Bench, page_size: int
) -> None:
    bench.stripe.page_size = page_size
    request_id = bench.sent()
    original = bench.stripe.payouts["po_1"]
    original |= {"status": "paid", "reversed_by": "po_2"}
    bench.stripe.payouts["po_2"] = {
        **original,
        "id": "po_2",
        "created": original["created"] + 1,  # listed before its original
        "amount": -1_000,
        "original_payout": "po_1",
        "reversed_by": None,
    }

    bench.compare()

    assert bench.open() == []
    assert bench.status(request_id) == "returned"
    assert bench.balances(bench.first()) == {"returned": 1_000, "at_stripe": 1_000}


def test_six_who_compare_the_same_payouts_at_once_heal_each_of_them_once(bench: Bench) -> None:
    bench.sent()
    bench.stripe.faults = ["", "lost after"]
    bench.sent()
    for made in bench.stripe.payouts.values():
        made["status"] = "paid"

    def compare(_: int) -> None:
        for stripe_id in ("po_1", "po_2"):
            bench.reconciler.compare_one(ACCOUNT, stripe_id, Budget(PLENTY))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(compare, range(6)))

    assert sorted(subject for _, subject, _ in bench.healed()) == ["po_1", "po_2"]
    assert bench.open() == []
    assert bench.balances(bench.first()) == {"paid": 2_000, "at_bank": 2_000}


def test_one_that_the_books_refuse_is_reported_with_why_and_holds_up_none_of_its_neighbours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        bench.sent()
    for made in bench.stripe.payouts.values():
        made["status"] = "paid"
    settle = recording.settle_payouts

    def refusing(*arguments: Any) -> dict[str, str]:
        if any(seen.id == "po_2" for seen in arguments[-1]):
            raise PayoutsError("posted before with other content")
        return settle(*arguments)

    monkeypatch.setattr(recording, "settle_payouts", refusing)
    bench.compare()

    assert sorted(subject for _, subject, _ in bench.healed()) == ["po_1", "po_3"]
    assert bench.open() == [("status", "po_2")]
    assert "Not healed: posted before with other content" in bench.rows()[-1].text
    monkeypatch.undo()
    bench.compare()
    assert bench.open() == []
    assert bench.healed()[-1][2] == "by itself: pending → paid"


def test_what_stripe_does_not_have_is_reported_once_and_until_it_is_back(bench: Bench) -> None:
    bench.sent()
    payout = bench.stripe.payouts.pop("po_1")
    transfer = bench.stripe.transfers.pop("tr_1")
    for _ in range(2):
        bench.compare(PLATFORM)
        bench.compare()

    assert bench.open() == [("missing_at_stripe", "po_1"), ("missing_at_stripe", "tr_1")]
    assert all(row.last_seen_ms > row.first_seen_ms for row in bench.rows())
    assert bench.alerts() == 2

    bench.stripe.payouts["po_1"], bench.stripe.transfers["tr_1"] = payout, transfer
    bench.compare(PLATFORM)
    bench.compare()
    assert bench.open() == []
    assert {how for _, _, how in bench.healed()} == {"gone"}
    assert bench.alerts() == 2


def test_a_difference_stays_open_when_its_object_leaves_the_window(bench: Bench) -> None:
    bench.sent()
    bench.stripe.payouts["po_1"]["amount"] = 1
    bench.compare()
    bench.pass_(hours=24 * 30)

    bench.compare()

    assert bench.open() == [("amount", "po_1")]


def test_an_object_that_names_a_leg_which_is_not_there_is_missing_here(bench: Bench) -> None:
    bench.sent()
    stray = {"metadata": {"payout_id": "pay_7", "payout_leg": "777"}}
    bench.stripe.payouts["po_9"] = {**bench.stripe.payouts["po_1"], "id": "po_9", **stray}
    bench.stripe.transfers["tr_9"] = {**bench.stripe.transfers["tr_1"], "id": "tr_9", **stray}

    bench.compare(PLATFORM)
    bench.compare()

    assert bench.open() == [("missing_here", "po_9"), ("missing_here", "tr_9")]
    assert bench.value("SELECT COUNT(*) FROM payouts") == 1


def test_a_second_object_for_one_leg_is_reported_and_nothing_is_posted(bench: Bench) -> None:
    bench.sent()
    bench.stripe.payouts["po_9"] = {**bench.stripe.payouts["po_1"], "id": "po_9"}
    bench.stripe.transfers["tr_9"] = {**bench.stripe.transfers["tr_1"], "id": "tr_9"}
    before = bench.everything()

    bench.compare(PLATFORM)
    bench.compare()

    assert bench.open() == [("second_object", "po_9"), ("second_object", "tr_9")]
    assert bench.everything() == before


@pytest.mark.parametrize(
    ("book", "account", "change", "kind"),
    [
        ("payouts", ACCOUNT, {"amount": 999}, "amount"),
        ("payouts", ACCOUNT, {"currency": "usd"}, "amount"),
        ("transfers", PLATFORM, {"amount": 999}, "amount"),
        ("transfers", PLATFORM, {"destination": "acct_other"}, "destination"),
        ("transfers", PLATFORM, {"amount_reversed": 400}, "reversed_amount"),
    ],
)
def test_what_no_event_may_change_is_reported_and_left_alone(
    bench: Bench, book: str, account: str, change: dict[str, Any], kind: str
) -> None:
    bench.sent()
    before = bench.everything()
    held = getattr(bench.stripe, book)
    stripe_id = next(iter(held))
    was = copy.deepcopy(held[stripe_id])
    held[stripe_id].update(change)

    bench.compare(account)

    assert bench.open() == [(kind, stripe_id)]
    row = bench.rows()[0]
    assert row.ours != row.theirs
    assert row.remedy.startswith("payouts ")
    assert bench.everything() == before
    held[stripe_id] = was
    bench.compare(account)
    assert bench.open() == []


def test_ours_ahead_of_stripe_is_reported_and_never_set_back(bench: Bench) -> None:
    bench.sent()
    bench.stripe.payouts["po_1"]["status"] = "paid"
    bench.compare()
    bench.stripe.payouts["po_1"]["status"] = "in_transit"

    bench.compare()

    assert bench.open() == [("status", "po_1")]
    assert bench.value("SELECT status FROM payouts") == "paid"


def test_a_reversal_made_for_an_open_leg_brings_the_money_back_in_the_books(bench: Bench) -> None:
    request_id = bench.sent()
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.compare()
    anna = Actor("anna", 1, 1, frozenset(Scope))
    with bench.engine.begin() as connection:
        mending.reverse(connection, request_id, anna, "wrong account", bench.make_id, bench.clock())
    bench.stripe.faults = ["lost after"]
    bench.sender.send(request_id)
    assert bench.status(request_id) == "reversing"
    bench.pass_(hours=1)
    bench.even_balances = False
    bench.stripe.balances[None] = {"eur": 0}

    bench.compare(PLATFORM)

    assert bench.status(request_id) == "reversed"
    assert bench.balances(bench.first()) == {"owed": 1_000}
    assert bench.value("SELECT status FROM legs WHERE kind = 'reversal'") == "done"
    assert bench.value("SELECT reversed_minor FROM legs WHERE kind = 'transfer'") == 1_000
    assert bench.open() == []


def fund(bench: Bench, amount_minor: int) -> None:
    entry = Entry("funding", "funding:1", PLATFORM, NO_PARTNER, "eur", funding(amount_minor), bench.clock())
    with bench.engine.begin() as connection:
        post(connection, [entry], bench.make_id, bench.clock())


@pytest.mark.parametrize(("theirs", "is_even"), [(9_000, True), (8_999, False), (9_001, False)])
def test_the_platforms_balance_must_be_that_of_the_ledger(bench: Bench, theirs: int, is_even: bool) -> None:
    bench.even_balances = False
    fund(bench, 10_000)
    bench.sent(1_000)
    bench.stripe.balances[None] = {"eur": theirs, "usd": 5}

    bench.compare(PLATFORM)

    assert bench.open() == ([] if is_even else [("platform_balance", "balance:eur")])
    remedies = {8_999: "0.01 eur --drawn", 9_001: "0.01 eur"}
    assert all(f"payouts ledger fund {remedies[theirs]} --reference" in row.remedy for row in bench.rows())
    bench.stripe.balances[None] = {"eur": 9_000}
    bench.compare(PLATFORM)
    assert bench.open() == []


def test_a_balance_that_a_transfer_under_way_explains_is_no_difference(bench: Bench) -> None:
    bench.even_balances = False
    fund(bench, 10_000)
    bench.stripe.faults = ["lost before"]
    bench.sent(1_000)
    for theirs in (10_000, 9_000):
        bench.stripe.balances[None] = {"eur": theirs}
        bench.compare(PLATFORM)
    assert bench.open() == []
    bench.stripe.balances[None] = {"eur": 8_999}
    bench.compare(PLATFORM)
    assert bench.open() == [("platform_balance", "balance:eur")]


def test_a_partners_account_may_hold_more_than_ours_and_not_less(bench: Bench) -> None:
    bench.sent(1_000)
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.even_balances = False
    bench.stripe.balances[ACCOUNT] = {"eur": 5_000}
    bench.compare()
    assert bench.open() == []

    bench.stripe.balances[ACCOUNT] = {"eur": 999}
    bench.compare()

    assert bench.open() == [("account_balance", "balance:eur")]
    assert bench.rows()[-1].ours == "10.00 EUR"


def test_an_account_that_lets_nobody_in_is_reported_and_the_report_ends_with_access(bench: Bench) -> None:
    bench.sent()
    bench.stripe.broken[ACCOUNT] = GatewayError("access is lost", transient=False, no_access=True)
    assert bench.compare()
    assert bench.open() == [("unreadable", ACCOUNT)]

    bench.stripe.broken.clear()
    bench.compare()
    assert bench.open() == []


def test_a_comparison_that_is_cut_short_goes_on_where_it_stopped(bench: Bench) -> None:
    for _ in range(5):
        bench.sent()
    bench.stripe.page_size = 2
    lost = bench.stripe.payouts.pop("po_2")
    turns = 0
    while True:
        bench.budget = Budget(1)
        turns += 1
        if bench.compare():
            break

    assert turns == len(bench.stripe.reads)
    assert bench.stripe.reads.count("payouts") == 2
    assert bench.open() == [("missing_at_stripe", lost["id"])]


def test_an_answer_that_does_not_come_leaves_the_account_where_it_was(bench: Bench) -> None:
    for _ in range(3):
        bench.sent()
    bench.stripe.page_size = 2
    bench.budget = Budget(1)
    assert not bench.compare()
    bench.budget = Budget(PLENTY)
    bench.stripe.broken[ACCOUNT] = GatewayError("time-out", transient=True)
    with pytest.raises(GatewayError):
        bench.compare()
    bench.stripe.broken.clear()

    assert bench.compare()
    assert bench.stripe.reads.count("payouts") == 3
    assert bench.open() == []


def test_two_never_compare_one_account_at_the_same_time(bench: Bench) -> None:
    bench.sent()
    bench.reconciler.compare(ACCOUNT, Budget(0))
    with bench.engine.begin() as connection:
        far = bench.clock() + 60_000
        connection.execute(sa.text("UPDATE reconcile_progress SET lease_until_ms = :far"), {"far": far})
    bench.compare()
    assert bench.stripe.reads == []


@pytest.mark.parametrize(
    ("status", "hours"),
    [("awaiting_approval", 73), ("queued", 169), ("returned", 73), ("unclear", 5), ("sending", 27)],
)
def test_a_request_that_is_stuck_is_reported_until_it_goes_on(bench: Bench, status: str, hours: int) -> None:
    request_id = bench.request(bench.partner(), status=RequestStatus(status))
    bench.pass_(hours=hours - 2)
    bench.reconciler.find_late()
    assert bench.open() == []
    bench.pass_(hours=2)
    bench.reconciler.find_late()
    bench.pass_(hours=1)
    bench.reconciler.find_late()

    assert bench.open() == [("request_stuck", f"pay_{request_id}")]
    assert bench.alerts() == 1
    with bench.engine.begin() as connection:
        connection.execute(sa.text("UPDATE payout_requests SET status = 'canceled'"))
    bench.reconciler.find_late()
    assert bench.open() == [("request_stuck", f"pay_{request_id}")]
    bench.pass_(seconds=1)
    bench.reconciler.find_late()
    assert bench.open() == []


def test_a_payout_past_its_day_and_one_that_no_event_told_of_are_reported(bench: Bench) -> None:
    bench.sent()
    bench.pass_(hours=22)
    bench.reconciler.find_late()
    assert bench.open() == []
    bench.pass_(hours=2)
    bench.reconciler.find_late()
    assert bench.open() == [("payout_silent", "po_1")]

    bench.pass_(hours=24 * 9)
    bench.reconciler.find_late()
    assert ("payout_overdue", "po_1") in bench.open()


def test_an_attempt_too_old_to_repeat_is_reported(bench: Bench) -> None:
    bench.stripe.faults = ["lost before"]
    bench.sent()
    bench.pass_(hours=23)
    bench.reconciler.find_late()
    assert [kind for kind, _ in bench.open()] == ["attempt_open"]


def test_money_that_came_back_for_a_restricted_partner_is_reported(bench: Bench) -> None:
    bench.sent()
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.compare()
    partner = dataclasses.replace(bench.first(), state=PartnerState.RESTRICTED)
    with bench.engine.begin() as connection:
        PARTNERS.save(connection, [partner])
    bench.reconciler.find_late()
    assert ("returned_restricted", "returned:eur") in bench.open()
