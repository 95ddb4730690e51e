"""The history of a payout: everything that happened to it, in order, now and as it was known at a time."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text

from payouts import mending
from payouts.approving import approve
from payouts.as_of import DETAILS, SENDS, WAITING
from payouts.calls import Call
from payouts.errors import NotFoundError, RefusedError
from payouts.history import Rows
from payouts.holding import hold_request, place, release, release_by_id, release_request
from payouts.holds import EVERYTHING, HoldKind, HoldScope
from payouts.limiting import LimitKey, set_limit
from payouts.limits import LimitKind
from payouts.storage import history_queries
from payouts.storage.history_queries import find, read_rows
from payouts.storage.notice_tables import notice_deliveries
from payouts.storage.queries import reading
from payouts.storage.tables import outbox
from payouts.timeline import Entry
from payouts.waiting import wait_of
from tests.support.lives import event_body, payout_object
from tests.support.story import ANNA, BEN, Story


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    made = Story(database_url)
    yield made
    made.engine.dispose()


def paid(story: Story, **wish: Any) -> int:
    """A payout that was asked for, held for a while, sent and paid."""
    request_id = story.ask(**wish)
    story.do(hold_request, request_id, "checking the invoice", ANNA)
    story.do(release_request, request_id, "all in order", ANNA)
    story.send(request_id)
    story.event("evt_1", "po_1", "in_transit")
    story.event("evt_2", "po_1", "paid")
    return request_id


def kinds(entries: list[Entry]) -> list[str]:
    return [entry.kind for entry in entries]


def texts(entries: list[Entry], *wanted: str) -> list[str]:
    return [entry.text for entry in entries if entry.kind in wanted]


def state(rows: Rows) -> tuple[str, list[str | None], list[tuple[str, str, str | None]]]:
    """The states of the request, of Stripe's payouts and of the legs."""
    assert rows.request is not None
    legs = [(str(leg.kind), str(leg.status), leg.stripe_id) for leg in rows.legs]
    return str(rows.request.status), [row["status"] for row in rows.payouts], legs


def test_all_that_happened_to_a_payout_is_told_in_order_with_causes_first(story: Story) -> None:
    request_id = paid(story)

    told = story.told(f"pay_{request_id}")

    assert [entry.at_ms for entry in told] == sorted(entry.at_ms for entry in told)
    assert kinds(told) == [
        *("requested", "moved", "posted", "notice", "audit"),
        *("hold", "audit", "hold_released", "audit"),
        *("attempt", "moved"),
        *("answer", "posted", "attempt"),
        *("answer", "payout_moved", "moved", "posted", "notice", "notice"),
        *("event", "payout_moved", "notice"),
        *("event", "payout_moved", "moved", "posted", "notice"),
    ]
    assert (told[0].actor, told[0].text) == ("anna", "120.50 EUR by command")
    assert texts(told, "moved") == [
        "new → queued: requested",
        "queued → sending: sent to Stripe",
        "sending → sent: payout po_1 is pending",
        "sent → paid: payout po_1 is paid",
    ]
    assert texts(told, "posted") == [
        "request: owed → in_transit 120.50 EUR",
        "transfer: stripe_balance → at_stripe 120.50 EUR",
        "payout_created: at_stripe → at_bank 120.50 EUR",
        "payout_paid: in_transit → paid 120.50 EUR",
    ]
    assert texts(told, "answer") == [
        "transfers.create: Stripe has made tr_1",
        "payouts.create: Stripe has made po_1",
    ]
    assert texts(told, "event") == [
        "evt_1 payout.updated of po_1, applied: as Stripe reports",
        "evt_2 payout.paid of po_1, applied: as Stripe reports",
    ]
    assert texts(told, "hold", "hold_released") == [
        "manual on this payout: checking the invoice",
        "manual on this payout: all in order",
    ]


def test_a_payout_is_found_by_each_of_its_names(story: Story) -> None:
    request_id = paid(story, reference="invoice-7")
    row_id = story.value("SELECT id FROM payouts")
    for key in (f"pay_{request_id}", request_id, "po_1", row_id, "tr_1", "invoice-7"):
        request = story.rows(key).request
        assert request is not None
        assert request.id == request_id, key


@pytest.mark.parametrize(
    "key",
    [
        *("pay_7", "pay_", "7", "9" * 19, "po_7", "tr_7", "straße", "'", ""),
        pytest.param("9" * 5_000, id="too long"),
    ],
)
def test_what_names_no_payout_is_not_found(story: Story, key: str) -> None:
    with pytest.raises(NotFoundError, match="there is no payout"):
        story.rows(key)


def test_a_reference_of_two_partners_is_not_guessed_at(story: Story) -> None:
    ids = {story.ask(reference="invoice-7")}
    story.nord = story.partner(2)
    ids.add(story.ask(reference="invoice-7"))
    with pytest.raises(RefusedError) as refused:
        story.rows("invoice-7")
    assert all(f"pay_{request_id}" in str(refused.value) for request_id in ids)


def test_before_an_answer_its_call_is_open_and_after_it_is_answered(story: Story) -> None:
    request_id = story.ask()
    story.stripe.faults = ["", "lost after"]
    story.send(request_id)
    story.clock.pass_(minutes=20)
    before_ms = story.clock()
    story.send(request_id)
    sent_again_ms = story.clock() - 200
    story.event("evt_1", "po_1", "paid")

    then = story.rows(request_id, before_ms)
    between = story.rows(request_id, sent_again_ms)
    after = story.rows(request_id, sent_again_ms + 200)

    held = [("transfer", "done", "tr_1"), ("payout", "open", None)]
    assert state(then) == state(between) == ("sending", [], held)
    assert state(after) == ("sent", ["pending"], [held[0], ("payout", "done", "po_1")])
    assert [(a.status, a.sends) for a in then.attempts] == [("succeeded", 1), ("open", 1)]
    assert [(a.status, a.sends) for a in between.attempts] == [("succeeded", 1), ("open", 2)]
    assert [(a.status, a.sends) for a in after.attempts] == [("succeeded", 1), ("succeeded", 2)]
    assert kinds(story.told(request_id, before_ms))[-3:] == ["answer", "posted", "attempt"]
    assert "answer" in kinds(story.told(request_id, sent_again_ms + 200))[-6:]
    last = story.told(request_id, before_ms)[-1]
    assert last.text.endswith("sent once; open")
    told = story.told(request_id)
    assert "in doubt after no_answer: time-out" in texts(told, "attempt")[1]
    errors = [entry.details["error_code"] for entry in told if entry.kind == "answer"]
    assert errors == [None, None]


def test_the_past_shows_the_balances_and_the_waiting_of_then(story: Story) -> None:
    request_id = story.ask()
    story.do(hold_request, request_id, "checking the invoice", ANNA)
    held_ms = story.clock()
    story.do(release_request, request_id, "all in order", ANNA)
    story.send(request_id)
    story.event("evt_1", "po_1", "paid")
    other = story.ask(999)

    now, then = story.rows(request_id), story.rows(request_id, held_ms)

    def sums(rows: Rows) -> dict[str, int]:
        return {str(kind): amount for (_, kind), amount in rows.balances.items() if amount}

    assert sums(now) == {"in_transit": 999, "paid": 12_050, "at_bank": 12_050}
    assert sums(then) == {"in_transit": 12_050}
    assert then.not_kept == [WAITING]
    assert then.request is not None
    wait = wait_of(then.request, then.holds, is_known=False)
    assert wait is not None
    assert (wait.code, wait.text) == ("held", "checking the invoice")
    free = story.rows(request_id, held_ms + 1_000)
    assert free.request is not None
    assert wait_of(free.request, free.holds, is_known=False) is None
    assert texts(story.told(request_id, held_ms), "hold_released") == []
    assert texts(story.told(other, held_ms), "hold") == []


def test_at_each_moment_the_states_are_those_that_were_true_then(story: Story) -> None:
    """The past is told the same from all that is known today as from what was known at that moment."""
    seen: list[tuple[int, Any, list[tuple[int, str]]]] = []

    def remember(request_id: int) -> None:
        rows = story.rows(request_id)
        told = [(entry.at_ms, entry.kind) for entry in story.told(request_id)]
        balances = {key: amount for key, amount in rows.balances.items() if amount}
        attempts = [(a.idempotency_key, a.status, a.sends, a.answered_at_ms) for a in rows.attempts]
        back = [leg.reversed_minor for leg in rows.legs]
        events = [(row["event_id"], row["status"]) for row in rows.events]
        seen.append((story.clock(), (state(rows), balances, attempts, back, events), told))

    request_id = story.ask()
    remember(request_id)
    story.stripe.faults = ["", "lost after"]
    for _ in range(2):
        story.send(request_id)
        remember(request_id)
        story.clock.pass_(minutes=20)
    for number, status in enumerate(("in_transit", "paid", "failed")):
        story.event(f"evt_{number}", "po_1", status, failure_code="account_closed")
        remember(request_id)
    story.do(mending.retry, request_id, "new bank account")
    remember(request_id)
    story.stripe.refuse = {Call.PAYOUT: "invalid_account_number"}
    story.send(request_id)
    remember(request_id)
    story.do(mending.reverse, request_id, "the partner left")
    remember(request_id)
    story.send(request_id)
    remember(request_id)

    for at_ms, what, told in seen:
        rows = story.rows(request_id, at_ms)
        balances = {key: amount for key, amount in rows.balances.items() if amount}
        attempts = [(a.idempotency_key, a.status, a.sends, a.answered_at_ms) for a in rows.attempts]
        back = [leg.reversed_minor for leg in rows.legs]
        events = [(row["event_id"], row["status"]) for row in rows.events]
        assert (state(rows), balances, attempts, back, events) == what
        assert [(entry.at_ms, entry.kind) for entry in story.told(request_id, at_ms)] == told
    assert seen[-1][1][0][0] == "reversed"
    assert seen[-1][1][3] == [12_050, 0, 0, 0]


def test_two_legs_a_retry_after_a_failure_and_a_reversal_are_one_story(story: Story) -> None:
    request_id = paid(story)
    story.event("evt_3", "po_1", "failed", failure_code="account_closed")
    story.do(mending.retry, request_id, "new bank account")
    story.send(request_id)
    story.event("evt_4", "po_2", "paid")
    story.event("evt_5", "po_2", "failed", failure_code="account_closed")
    story.do(mending.reverse, request_id, "the partner left")
    story.send(request_id)

    rows, told = story.rows(request_id), story.told(request_id)

    assert state(rows) == (
        "reversed",
        ["failed", "failed"],
        [
            ("transfer", "reversed", "tr_1"),
            ("payout", "failed", "po_1"),
            ("payout", "failed", "po_2"),
            ("reversal", "done", "trr_1"),
        ],
    )
    assert texts(told, "answer") == [
        "transfers.create: Stripe has made tr_1",
        "payouts.create: Stripe has made po_1",
        "payouts.create: Stripe has made po_2",
        "transfers.reversals.create: Stripe has made trr_1",
    ]
    people = [(entry.actor, entry.text) for entry in told if entry.kind == "moved" and entry.actor == "ben"]
    assert people == [
        ("ben", "returned → sending: new bank account"),
        ("ben", "returned → reversing: the partner left"),
    ]
    assert "payout_failed: paid → returned 120.50 EUR, at_bank → at_stripe 120.50 EUR" in texts(
        told, "posted"
    )
    assert texts(told, "posted")[-1] == "taken_back: returned → owed 120.50 EUR"
    assert [row["status"] for row in story.rows("po_2").payouts] == ["failed", "failed"]


def test_a_foreign_payout_shows_what_there_is(story: Story) -> None:
    body = event_body("evt_1", "paid", payout_object("po_9", "paid"))
    story.deliver(body)
    once_ms = story.clock()
    story.deliver(body)
    story.deliver(event_body("evt_2", "failed", payout_object("po_9", "failed")))

    rows, told = story.rows("po_9"), story.told("po_9")

    assert (rows.request, rows.partner) == (None, None)
    assert rows.payouts[0]["failure_code"] == "account_closed"
    assert kinds(told) == [
        *("event", "payout_moved", "notice", "event_again"),
        *("event", "payout_moved", "notice"),
    ]
    then = story.rows("po_9", once_ms)
    assert (then.payouts[0]["status"], then.payouts[0]["failure_code"]) == ("paid", None)
    assert then.not_kept == [DETAILS]
    assert kinds(story.told("po_9", once_ms)) == ["event", "payout_moved", "notice"]


def test_an_event_that_could_not_be_applied_is_told_with_its_errors(story: Story) -> None:
    request_id = paid(story)
    broken = payout_object("po_1", "failed", amount="much")  # type: ignore[arg-type]
    story.deliver(event_body("evt_9", "failed", broken, account=story.nord.account))
    told = story.told(request_id)
    assert texts(told, "event")[-1].startswith(
        "evt_9 payout.failed of po_1, dead: the event's data.object does not"
    )
    assert texts(told, "event_failed")[0].startswith("evt_9, attempt 1: PayloadError")


def test_only_holds_that_could_stop_a_payout_are_in_its_history(story: Story) -> None:
    with story.happens() as connection:
        early = (HoldScope.CURRENCY, "eur")
        place(connection, HoldKind.MANUAL, early, ANNA, "before it", story.make_id, story.clock())
    request_id = story.ask()
    with story.happens() as connection:
        other = (HoldScope.CURRENCY, "usd")
        place(connection, HoldKind.MANUAL, other, ANNA, "other money", story.make_id, story.clock())
    with story.happens() as connection:
        for hold_id in connection.scalars(text("SELECT id FROM holds")).all():
            release_by_id(connection, hold_id, BEN, "all in order", story.make_id, story.clock())
    story.send(request_id)
    story.event("evt_1", "po_1", "failed")
    with story.happens() as connection:
        place(connection, HoldKind.KILL_SWITCH, EVERYTHING, BEN, "all is out", story.make_id, story.clock())
    with story.happens() as connection:
        release(connection, HoldKind.KILL_SWITCH, EVERYTHING, BEN, "fine", story.make_id, story.clock())
    story.do(mending.retry, request_id, "once more")
    story.send(request_id)
    assert texts(story.told(request_id), "hold") == ["manual on all in EUR: before it"]


def test_how_often_a_call_was_sent_is_left_out_where_it_is_not_kept(story: Story) -> None:
    request_id = story.ask()
    story.stripe.faults = ["lost before"] * 3
    times = []
    for _ in range(4):
        story.send(request_id)
        times.append(story.clock())
        story.clock.pass_(minutes=20)
    then = story.rows(request_id, times[1])
    assert then.not_kept == [WAITING, SENDS]
    assert "sent at least once" in texts(story.told(request_id, times[1]), "attempt")[0]
    assert "sent 4 times" in texts(story.told(request_id), "attempt")[0]


def test_a_list_that_is_too_long_keeps_its_newest_rows_and_says_so(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = paid(story)
    monkeypatch.setattr(history_queries, "ROWS_MOST", 2)
    rows = story.rows(request_id)
    assert set(rows.cut) == {
        *("request_transitions", "payout_transitions", "ledger_transactions", "outbox", "audit")
    }
    assert [move["to_status"] for move in rows.request_moves] == ["sent", "paid"]


def test_reading_a_history_takes_no_lock(story: Story) -> None:
    request_id = paid(story)
    with story.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE payout_requests SET tries = 1 WHERE id = {request_id}")
        rows = story.rows(request_id)
    assert rows.request is not None
    assert rows.request.tries == 0


def test_a_history_is_of_one_moment_whatever_happens_while_it_is_read(story: Story) -> None:
    request_id = story.ask()
    with reading(story.engine) as connection:
        found = find(connection, f"pay_{request_id}")
        story.send(request_id)
        rows = read_rows(connection, found)
    assert state(rows) == ("queued", [], [])
    assert state(story.rows(request_id))[0] == "sent"


def test_an_approval_is_a_part_of_the_story_and_before_it_the_payout_waited_for_it(story: Story) -> None:
    with story.happens() as connection:
        key = LimitKey(LimitKind.APPROVAL, "eur", None)
        set_limit(connection, key, 100, 0, ANNA, story.make_id, story.clock(), "two see more than one")
    request_id = story.ask()
    asked_ms = story.clock()
    story.do(approve, request_id, "as agreed")
    story.send(request_id)

    told = story.told(request_id)

    assert [(e.actor, e.text) for e in told if e.kind == "decision"] == [("ben", "approved: as agreed")]
    assert texts(told, "moved")[:2] == [
        "new → awaiting_approval: needs approval",
        "awaiting_approval → queued: as agreed",
    ]
    then = story.rows(request_id, asked_ms).request
    assert then is not None
    assert (then.status, then.sent_at_ms) == ("awaiting_approval", None)
    wait = wait_of(then, [])
    assert wait is not None
    assert wait.code == "approval"


def test_an_event_has_no_decision_before_it_was_applied(story: Story) -> None:
    request_id = paid(story)
    received_ms = next(entry.at_ms for entry in story.told(request_id) if entry.text.startswith("evt_2"))
    then = story.told(request_id, received_ms)[-1]
    assert then.text == "evt_2 payout.paid of po_1, received"
    assert (then.details["status"], then.details["decided_at_ms"]) == ("received", None)


def test_a_notice_is_pending_until_it_was_delivered(story: Story) -> None:
    request_id = story.ask()
    asked_ms = story.clock()
    with story.happens() as connection:
        changes = {"status": "delivered", "delivered_at_ms": story.clock()}
        connection.execute(outbox.update().values(changes))
    assert texts(story.told(request_id, asked_ms), "notice") == ["payout.requested: pending"]
    assert texts(story.told(request_id), "notice") == ["payout.requested: delivered"]


def test_a_notice_that_a_channel_does_not_take_says_why(story: Story) -> None:
    request_id = story.ask()
    asked_ms = story.clock()
    with story.happens() as connection:
        notice_id = connection.scalar(select(outbox.c.id).where(outbox.c.request_id == request_id))
        row = (1, "acct_1", notice_id, "folder", "pending", story.clock(), 3, "OSError: disk full")
        columns = [column.name for column in notice_deliveries.c][: len(row)]
        connection.execute(notice_deliveries.insert().values(dict(zip(columns, row, strict=True))))

    now = story.told(request_id)

    assert texts(now, "notice") == ["payout.requested: pending (OSError: disk full)"]
    assert texts(story.told(request_id, asked_ms), "notice") == ["payout.requested: pending"]


def test_a_refused_call_made_nothing_and_the_time_before_knows_of_no_waiting(
    story: Story,
) -> None:
    request_id = story.ask()
    asked_ms = story.clock()
    story.stripe.faults = ["no money"]
    story.send(request_id)
    refused_ms = story.clock()
    before, waits = story.rows(request_id, asked_ms).request, story.rows(request_id, refused_ms).request
    assert before is not None
    assert waits is not None
    assert (before.blocked, waits.blocked) == (None, "platform_balance")

    story.clock.pass_(hours=2)
    story.send(request_id)

    assert state(story.rows(request_id, refused_ms)) == ("queued", [], [("transfer", "open", None)])
    assert texts(story.told(request_id), "answer") == [
        "transfers.create refused: balance_insufficient: Stripe said balance_insufficient",
        "transfers.create: Stripe has made tr_1",
        "payouts.create: Stripe has made po_1",
    ]


def test_events_of_the_transfer_are_a_part_of_the_story(story: Story) -> None:
    request_id = paid(story)
    transfer = {**story.stripe.transfers["tr_1"], "livemode": False}
    story.deliver(event_body("evt_9", "transfer.created", transfer, account=None))
    text = story.told(request_id)[-1].text
    assert text == "evt_9 transfer.created of tr_1, ignored: transfer already done"
