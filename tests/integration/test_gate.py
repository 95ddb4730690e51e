"""What stops a payout at the moment it would be sent."""

import dataclasses
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts import gate
from payouts.clock import now_ms
from payouts.errors import RefusedError
from payouts.gate import GateRules, Stop
from payouts.holding import place, release_by_id, wake_waiting
from payouts.holds import EVERYTHING, HoldKind, HoldScope
from payouts.ids import IdMaker
from payouts.limits import Limit, LimitKind, LimitScope
from payouts.partner import Partner, PartnerState
from payouts.request import PayoutRequest
from payouts.states import RequestStatus
from payouts.storage import approval_rows
from payouts.storage.approval_rows import Approval, Subject, Verdict
from payouts.storage.limit_rows import LIMITS
from payouts.storage.records import FEW
from payouts.storage.unit import in_transaction
from tests.support.requests import ANNA, a_partner, a_request, keep, make_id, migrated

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
RULES = GateRules()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with migrated(database_url) as engine:
        yield engine


def stops(
    engine: Engine,
    requests: Sequence[PayoutRequest],
    partners: Sequence[Partner],
    at_ms: int = NOW_MS,
    worker: str = "w1",
    begun: Collection[int] = (),
) -> dict[int, Stop]:
    """One transaction of a worker: what is not stopped goes out."""

    def work(connection: sa.Connection) -> dict[int, Stop]:
        by_id = {partner.id: partner for partner in partners}
        found = gate.stops(connection, requests, by_id, RULES, at_ms, make_id, begun)
        free = [request for request in requests if request.id not in found and request.id not in begun]
        gate.note_outflow(connection, free, worker, make_id, at_ms)
        return found

    return in_transaction(engine, work)


def limit(engine: Engine, kind: LimitKind, value: int, **changes: Any) -> None:
    values: dict[str, Any] = {"scope": LimitScope.ALL, "scope_key": "", "currency": "eur", "window_s": 3600}
    row = Limit(make_id(), "platform", kind, value=value, set_by="anna", set_at_ms=1, **values | changes)
    with engine.begin() as connection:
        LIMITS.insert(connection, [row])


def rows(engine: Engine, query: str) -> list[Any]:
    with engine.begin() as connection:
        return list(connection.execute(sa.text(query)))


def test_a_payout_with_nothing_against_it_goes_through(engine: Engine) -> None:
    partner = a_partner()
    assert stops(engine, [a_request(partner)], [partner]) == {}


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"state": PartnerState.BLOCKED, "state_reason": "fraud case 7"}, "partner_blocked", "fraud case 7"),
        ({"state": PartnerState.UNVERIFIED}, "partner_not_ready", "is unverified"),
        (
            {
                "state": PartnerState.RESTRICTED,
                "requirements": '{"past_due":["company.tax_id"],"currently_due":["company.tax_id"]}',
            },
            "partner_not_ready",
            "Stripe still wants company.tax_id",
        ),
        ({"transfers_capability": "inactive"}, "partner_not_ready", "inactive"),
        ({"payouts_enabled": False}, "partner_not_ready", "switched off"),
        ({"bank_account": None}, "partner_not_ready", "no bank account for EUR"),
        ({"bank_status": "errored"}, "partner_not_ready", "mended or replaced"),
        ({"bank_approved": None}, "bank_unapproved", "Testbank …6789 waits for a person"),
        ({"bank_approved": "ba_before"}, "bank_unapproved", "Testbank …6789 waits for a person"),
    ],
)
def test_a_partner_that_is_not_in_order_is_not_paid_and_the_text_says_why(
    engine: Engine, changes: dict[str, Any], code: str, said: str
) -> None:
    partner = dataclasses.replace(a_partner(), **changes)
    request = a_request(partner)

    stop = stops(engine, [request], [partner])[request.id]

    assert (stop.code, stop.until_ms) == (code, None)
    assert said in stop.text


def test_a_new_bank_account_is_paid_to_only_after_the_cooling_off(engine: Engine) -> None:
    partner = a_partner(bank_since_ms=NOW_MS - 5 * HOUR_MS)
    request = a_request(partner)

    stop = stops(engine, [request], [partner])[request.id]

    assert (stop.code, stop.until_ms) == ("bank_cooling_off", NOW_MS + 19 * HOUR_MS)
    assert stops(engine, [request], [partner], at_ms=NOW_MS + 19 * HOUR_MS) == {}


def test_among_many_holds_and_limits_each_counts_for_its_own_partner_alone(engine: Engine) -> None:
    # given more of both than are read whole
    partner, other = a_partner(), a_partner()
    mine, others = a_request(partner), a_request(other)
    strangers = [str(make_id()) for _ in range(FEW + 10)]
    with engine.begin() as connection:
        for key in [*strangers, str(partner.id)]:
            place(connection, HoldKind.MANUAL, (HoldScope.PARTNER, key), ANNA, "unclear", make_id, NOW_MS)
    for key in [*strangers, str(other.id)]:
        limit(engine, LimitKind.APPROVAL, 0, scope=LimitScope.PARTNER, scope_key=key, window_s=0)

    # when both would be sent
    found = stops(engine, [mine, others], [partner, other])

    # then one is held, and the other waits for the approval that its own limit demands
    assert found[mine.id].code == "held"
    assert found[others.id].code == "not_approved"


@pytest.mark.parametrize("scope", HoldScope)
def test_a_hold_stops_what_it_covers_and_nothing_else(engine: Engine, scope: HoldScope) -> None:
    # given a hold that covers one request, and another one that differs in everything
    partner, other = a_partner(), a_partner(currency="usd")
    mine, others = a_request(partner), a_request(other)
    keys = {
        "all": "",
        "currency": "eur",
        "partner": str(partner.id),
        "account": partner.account,
        "request": str(mine.id),
    }
    kind = HoldKind.KILL_SWITCH if scope == HoldScope.ALL else HoldKind.MANUAL
    with engine.begin() as connection:
        hold = place(connection, kind, (scope, keys[scope]), ANNA, "invoice unclear", make_id, NOW_MS)

    # when both would be sent
    found = stops(engine, [mine, others], [partner, other])

    # then only what is covered waits, with the reason and the name of who held it
    assert found.keys() == ({mine.id, others.id} if scope == HoldScope.ALL else {mine.id})
    assert found[mine.id].code == ("kill_switch" if scope == HoldScope.ALL else "held")
    assert "invoice unclear" in found[mine.id].text
    assert "anna" in found[mine.id].text

    # and once it is released nothing does
    with engine.begin() as connection:
        release_by_id(connection, hold.id, ANNA, "clear now", make_id, NOW_MS)
    assert stops(engine, [mine, others], [partner, other]) == {}


def approve(engine: Engine, request: PayoutRequest, by: str) -> None:
    approval = Approval(
        *("acct_x", Subject.REQUEST, str(request.id), Verdict.APPROVED, by, "looked at it", NOW_MS)
    )
    with engine.begin() as connection:
        approval_rows.append(connection, approval, make_id)


def test_without_the_approval_of_somebody_else_it_does_not_go_out(engine: Engine) -> None:
    partner = a_partner()
    request = a_request(partner, needs_approval=True)
    assert stops(engine, [request], [partner])[request.id].code == "not_approved"
    approve(engine, request, by="anna")
    assert stops(engine, [request], [partner])[request.id].code == "not_approved"
    approve(engine, request, by="ben")
    assert stops(engine, [request], [partner]) == {}


def test_a_threshold_that_was_lowered_counts_for_what_is_queued_already(engine: Engine) -> None:
    partner = a_partner()
    small, large = a_request(partner, 9_999), a_request(partner, 10_000)
    limit(engine, LimitKind.APPROVAL, 10_000, window_s=0)
    assert stops(engine, [small, large], [partner]).keys() == {large.id}
    begun = dataclasses.replace(large, sent_at_ms=NOW_MS)
    assert stops(engine, [begun], [partner]) == {}


def test_a_threshold_of_the_partner_replaces_the_one_for_all(engine: Engine) -> None:
    partner, other = a_partner(), a_partner()
    mine, others = a_request(partner), a_request(other)
    limit(engine, LimitKind.APPROVAL, 10_000, window_s=0)
    limit(
        *(engine, LimitKind.APPROVAL, 50_000),
        window_s=0,
        scope=LimitScope.PARTNER,
        scope_key=str(partner.id),
    )
    assert stops(engine, [mine, others], [partner, other]).keys() == {others.id}


_KINDS: list[tuple[LimitKind, int, str]] = [
    (LimitKind.VELOCITY_AMOUNT, 35_000, "eur"),
    (LimitKind.VELOCITY_COUNT, 3, ""),
    (LimitKind.PARTNER_VELOCITY, 35_000, "eur"),
]


@pytest.mark.parametrize(("kind", "value", "currency"), _KINDS, ids=[kind for kind, *_ in _KINDS])
def test_velocity_stops_the_first_payout_over_the_limit_and_all_later_ones_across_restarts(
    engine: Engine, database_url: str, kind: LimitKind, value: int, currency: str
) -> None:
    # given a limit that three payouts of 100.00 fit into, one of which went out before
    partner = a_partner()
    limit(engine, kind, value, currency=currency)
    assert stops(engine, [a_request(partner)], [partner]) == {}

    # when four more come, small ones at the end
    four = [a_request(partner), a_request(partner), a_request(partner), a_request(partner, 1)]
    found = stops(engine, four, [partner], at_ms=NOW_MS + 60_000)

    # then the third and the fourth are stopped, by one hold and with one alert
    assert found.keys() == {four[2].id, four[3].id}
    assert {stop.code for stop in found.values()} == {"velocity"}
    assert {stop.until_ms for stop in found.values()} == {None}
    assert len(rows(engine, "SELECT id FROM holds WHERE active")) == 1
    alerts = rows(engine, "SELECT name, request_id FROM outbox")
    assert [tuple(row) for row in alerts] == [("alert.velocity_tripped", four[2].id)]

    # and so it stays after a restart and after the window, with no second hold or alert
    engine.dispose()
    again = a_request(partner, 1)
    assert stops(engine, [again], [partner], at_ms=NOW_MS + 30 * HOUR_MS)[again.id].code == "velocity"
    assert len(rows(engine, "SELECT id FROM holds")) == len(rows(engine, "SELECT id FROM outbox")) == 1


@pytest.mark.parametrize(("kind", "value", "currency"), _KINDS, ids=[kind for kind, *_ in _KINDS])
def test_after_a_release_a_velocity_limit_counts_from_nothing(
    engine: Engine, kind: LimitKind, value: int, currency: str
) -> None:
    # given a limit that tripped after three payouts
    partner = a_partner()
    limit(engine, kind, value, currency=currency)
    assert len(stops(engine, [a_request(partner) for _ in range(4)], [partner])) == 1
    [[hold_id]] = rows(engine, "SELECT id FROM holds")

    # when a person lets it go in the same minute
    with engine.begin() as connection:
        release_by_id(connection, hold_id, ANNA, "the pay run of the month", make_id, NOW_MS + 1_000)

    # then three more fit, and the fourth trips it again
    requests = [a_request(partner) for _ in range(4)]
    assert stops(engine, requests, [partner], at_ms=NOW_MS + 2_000).keys() == {requests[3].id}
    assert len(rows(engine, "SELECT id FROM outbox")) == 2


def test_a_velocity_limit_of_one_currency_or_partner_leaves_the_others_alone(engine: Engine) -> None:
    partner, dollar, third = a_partner(), a_partner(currency="usd"), a_partner()
    limit(engine, LimitKind.VELOCITY_AMOUNT, 15_000, currency="usd")
    limit(
        *(engine, LimitKind.PARTNER_VELOCITY, 15_000),
        scope=LimitScope.PARTNER,
        scope_key=str(partner.id),
    )
    requests = [a_request(of) for of in (partner, dollar, third) for _ in range(2)]
    found = stops(engine, requests, [partner, dollar, third])
    assert found.keys() == {requests[1].id, requests[3].id}


def test_what_went_out_before_the_window_does_not_count(engine: Engine) -> None:
    partner = a_partner()
    limit(engine, LimitKind.VELOCITY_AMOUNT, 15_000)
    assert stops(engine, [a_request(partner)], [partner]) == {}
    assert stops(engine, [a_request(partner)], [partner], at_ms=NOW_MS + HOUR_MS + 60_000) == {}


def test_what_one_worker_sends_in_one_minute_adds_up(engine: Engine) -> None:
    partner = a_partner()
    limit(engine, LimitKind.VELOCITY_AMOUNT, 35_000)
    for _ in range(3):
        assert stops(engine, [a_request(partner)], [partner]) == {}
    assert len(stops(engine, [a_request(partner)], [partner])) == 1


def test_a_payout_that_was_begun_is_not_counted_twice(engine: Engine) -> None:
    partner = a_partner()
    limit(engine, LimitKind.VELOCITY_AMOUNT, 10_000)
    request = a_request(partner)
    assert stops(engine, [request], [partner]) == {}
    assert stops(engine, [request], [partner], begun={request.id}) == {}
    assert stops(engine, [a_request(partner)], [partner]).keys() != set()


def test_what_was_refused_counts_no_more_in_any_window(engine: Engine) -> None:
    partner = a_partner()
    limit(engine, LimitKind.VELOCITY_AMOUNT, 10_000)
    request = a_request(partner)
    assert stops(engine, [request], [partner]) == {}

    # Refused later, by another worker, when the minute in which it was counted is about to leave the window.
    refused_ms = NOW_MS + HOUR_MS - 60_000
    in_transaction(
        engine,
        lambda connection: gate.note_outflow(
            connection, [], "w2", make_id, refused_ms, [gate.NotOut(request, NOW_MS)]
        ),
    )

    assert stops(engine, [a_request(partner)], [partner], at_ms=refused_ms) == {}
    # The minute of the refusal is in this window, that of the counting is not: nothing is given away.
    later_ms = NOW_MS + HOUR_MS + 60_000
    assert stops(engine, [a_request(partner)], [partner], at_ms=later_ms).keys() != set()


def test_workers_that_send_at_once_never_pass_the_limit_together(engine: Engine) -> None:
    # given a limit of 10 payouts, and 8 workers with 5 each
    partner = a_partner()
    limit(engine, LimitKind.VELOCITY_COUNT, 10, currency="")
    went: list[int] = []
    start = threading.Barrier(8)

    def send(name: str) -> None:
        start.wait()
        for _ in range(5):
            request = a_request(partner)
            if request.id not in stops(engine, [request], [partner], worker=name):
                went.append(request.id)

    threads = [threading.Thread(target=send, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    # then exactly ten went out, and there is one hold
    assert len(went) == 10
    assert len(rows(engine, "SELECT id FROM holds WHERE active")) == 1
    assert [
        row[0] for row in rows(engine, "SELECT SUM(payouts) FROM outflow WHERE account = 'platform'")
    ] == [10]


def test_a_second_kill_switch_is_refused_with_who_pressed_the_first(engine: Engine) -> None:
    def press() -> None:
        with engine.begin() as connection:
            place(connection, HoldKind.KILL_SWITCH, EVERYTHING, ANNA, "audit", make_id, now_ms())

    press()
    with pytest.raises(RefusedError, match="everything is held already, by anna: audit"):
        press()
    assert len(rows(engine, "SELECT id FROM holds")) == 1
    assert len(rows(engine, "SELECT id FROM audit")) == 1


def test_two_who_press_the_kill_switch_at_once_place_one_hold(engine: Engine) -> None:
    start = threading.Barrier(2)
    refused: list[str] = []

    def press() -> None:
        start.wait()
        try:
            in_transaction(
                engine,
                lambda connection: place(
                    *(connection, HoldKind.KILL_SWITCH, EVERYTHING, ANNA, "audit", make_id, NOW_MS)
                ),
            )
        except RefusedError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert refused == ["already_held"]
    assert len(rows(engine, "SELECT id FROM holds WHERE active")) == 1


def test_a_release_makes_what_waited_for_it_due_at_once_and_nothing_else(engine: Engine) -> None:
    # given requests that wait: two for the kill switch, one for its bank account, one that was canceled
    partner = a_partner()
    later = NOW_MS + HOUR_MS
    held = [a_request(partner, blocked="kill_switch", due_at_ms=later) for _ in range(2)]
    other = a_request(partner, blocked="bank_unapproved", due_at_ms=later)
    ended = a_request(partner, blocked="kill_switch", due_at_ms=later, status=RequestStatus.CANCELED)
    with engine.begin() as connection:
        keep(connection, partner, *held, other, ended)

    # when the kill switch is released
    woken = wake_waiting(engine, HoldKind.KILL_SWITCH, lambda: NOW_MS)

    # then those two are due, and the others as they were
    due = {row[0] for row in rows(engine, f"SELECT id FROM payout_requests WHERE due_at_ms = {NOW_MS}")}
    assert woken == 2
    assert due == {request.id for request in held}


def test_what_no_window_reaches_is_forgotten_and_the_rest_still_counts(engine: Engine) -> None:
    # given a payout of ten days ago and one of now, counted by workers of those days
    partner = a_partner()
    ten_days_ms = NOW_MS - 240 * HOUR_MS
    limit(engine, LimitKind.VELOCITY_AMOUNT, 15_000)
    for at_ms in (ten_days_ms, NOW_MS):
        with engine.begin() as connection:
            gate.note_outflow(connection, [a_request(partner)], "w1", IdMaker(lambda at=at_ms: at), at_ms)

    # when old rows are removed
    gone = gate.forget_outflow(engine, NOW_MS)

    # then those of the old one are, in all and of the partner
    assert gone == 2
    assert {row[0] for row in rows(engine, "SELECT minute FROM outflow")} == {NOW_MS // 60_000}
    assert len(stops(engine, [a_request(partner)], [partner])) == 1
