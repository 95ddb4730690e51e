"""A request sets its amount aside once, whoever asks at the same moment, and says plainly why not."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.approving import approve, approve_bank_account, reject
from payouts.canceling import cancel
from payouts.clock import now_ms
from payouts.errors import NotFoundError, PayoutsError, ReferenceTakenError, RefusedError
from payouts.ledger import LedgerKind
from payouts.limiting import LimitKey, set_limit
from payouts.limits import LimitKind
from payouts.partner import Partner, PartnerState
from payouts.people import Actor, Role
from payouts.request import PayoutRequest
from payouts.requesting import Source, Wish, request_payout
from payouts.states import RequestStatus
from payouts.storage.ledger_rows import partner_balances
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.request_rows import REQUESTS, lock_requests
from payouts.storage.unit import in_transaction
from tests.support.requests import ANNA, BEN, PORTAL, a_partner, actor, keep, make_id, migrated, owe

OWED, IN_TRANSIT = LedgerKind.OWED, LedgerKind.IN_TRANSIT


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with migrated(database_url, pool_size=20) as engine:
        yield engine


@pytest.fixture
def partner(engine: Engine) -> Partner:
    """A partner that is owed 500.00 EUR."""
    return owed(engine, 50_000)


def owed(engine: Engine, amount_minor: int, **changes: Any) -> Partner:
    partner = a_partner(**changes)
    with engine.begin() as connection:
        keep(connection, partner)
        owe(connection, partner, amount_minor)
    return partner


def ask(
    engine: Engine, partner: Partner, amount_minor: int | None = None, by: Actor = ANNA, **more: Any
) -> PayoutRequest:
    wish = Wish(partner.id, amount_minor, Source.API, **more)
    return in_transaction(engine, lambda connection: request_payout(connection, wish, by, make_id, now_ms()))


def balances(engine: Engine, partner: Partner) -> dict[LedgerKind, int]:
    with engine.begin() as connection:
        found = partner_balances(connection, partner.id)
    return {kind: found.get((partner.currency, kind), 0) for kind in (OWED, IN_TRANSIT)}


def requests_of(engine: Engine, partner: Partner) -> list[PayoutRequest]:
    with engine.begin() as connection:
        return REQUESTS.find(connection, REQUESTS.table.c.partner_id == partner.id)


def column(engine: Engine, query: str) -> list[Any]:
    with engine.begin() as connection:
        return list(connection.scalars(sa.text(query)))


def limit(engine: Engine, partner: Partner, kind: LimitKind, value: int) -> None:
    key = LimitKey(kind, partner.currency)
    with engine.begin() as connection:
        set_limit(connection, key, value, 0, ANNA, make_id, now_ms())


def test_a_request_sets_the_amount_aside_and_tells_others_with_a_trace_of_who_asked(
    engine: Engine, partner: Partner
) -> None:
    made = ask(engine, partner, 20_000, reference="march-7", statement_descriptor="NORD 7")

    assert requests_of(engine, partner) == [made]
    assert (made.status, made.needs_approval, made.requested_by) == (RequestStatus.QUEUED, False, "anna")
    assert balances(engine, partner) == {OWED: 30_000, IN_TRANSIT: 20_000}
    assert column(engine, "SELECT name FROM outbox") == ["payout.requested"]
    assert column(engine, "SELECT dedupe_key FROM outbox") == [f"{made.id}:payout.requested"]
    assert column(engine, "SELECT to_status FROM request_transitions") == ["queued"]
    assert column(engine, "SELECT action FROM audit") == ["request.create"]


def test_all_that_is_due_is_what_is_owed_and_then_nothing_is_left(engine: Engine, partner: Partner) -> None:
    assert ask(engine, partner).amount_minor == 50_000
    with pytest.raises(RefusedError, match="nothing is due to partner-") as refused:
        ask(engine, partner)
    assert refused.value.code == "nothing_due"


@pytest.mark.parametrize(
    ("currency", "owed_minor", "paid_minor"),
    [("huf", 12_345, 12_300), ("jpy", 999, 999), ("kwd", 1_239, 1_230)],
)
def test_all_that_is_due_leaves_the_rest_that_stripe_cannot_pay_owed(
    engine: Engine, currency: str, owed_minor: int, paid_minor: int
) -> None:
    partner = owed(engine, owed_minor, currency=currency)
    assert ask(engine, partner).amount_minor == paid_minor
    assert balances(engine, partner)[OWED] == owed_minor - paid_minor


def test_twenty_who_ask_for_all_that_is_due_at_once_make_one_request(
    engine: Engine, partner: Partner
) -> None:
    # given twenty threads at the same line
    start = threading.Barrier(20)
    made: list[PayoutRequest] = []
    refused: list[str] = []

    def one() -> None:
        start.wait()
        try:
            made.append(ask(engine, partner))
        except RefusedError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    # then one got everything, and the others were told that nothing is left
    assert [request.amount_minor for request in made] == [50_000]
    assert refused == ["nothing_due"] * 19
    assert requests_of(engine, partner) == made
    assert balances(engine, partner) == {OWED: 0, IN_TRANSIT: 50_000}


def test_many_parts_asked_for_at_once_are_never_more_than_what_is_owed(
    engine: Engine, partner: Partner
) -> None:
    start = threading.Barrier(12)
    refused: list[str] = []

    def one() -> None:
        start.wait()
        try:
            ask(engine, partner, 7_000)
        except RefusedError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert refused == ["not_enough_owed"] * 5
    assert len(requests_of(engine, partner)) == 7
    assert balances(engine, partner) == {OWED: 1_000, IN_TRANSIT: 49_000}


def test_the_same_reference_gives_the_same_request_whatever_has_changed_since(
    engine: Engine, partner: Partner
) -> None:
    first = ask(engine, partner, 20_000, reference="march-7")
    with engine.begin() as connection:
        PARTNERS.save(connection, [dataclasses.replace(partner, state=PartnerState.BLOCKED)])

    assert ask(engine, partner, 20_000, reference="march-7").id == first.id
    assert ask(engine, partner, None, reference="march-7").id == first.id
    assert len(requests_of(engine, partner)) == 1
    assert column(engine, "SELECT action FROM audit") == ["request.create"]


@pytest.mark.parametrize("other", [{"amount_minor": 20_001}, {"statement_descriptor": "OTHER"}])
def test_the_same_reference_for_something_else_is_refused(
    engine: Engine, partner: Partner, other: dict[str, Any]
) -> None:
    first = ask(engine, partner, 20_000, reference="march-7")
    with pytest.raises(
        ReferenceTakenError, match=f"'march-7' stands for {first.public_id} already, over 200"
    ):
        ask(engine, partner, **{"amount_minor": 20_000, "reference": "march-7", **other})
    assert len(requests_of(engine, partner)) == 1


@pytest.mark.parametrize(
    ("wish", "code", "said"),
    [
        ({"amount_minor": 50_001}, "not_enough_owed", "is owed 500.00 EUR, so 500.01 EUR cannot be paid out"),
        ({"amount_minor": 0}, "bad_amount", "0.00 EUR"),
        ({"amount_minor": -5}, "bad_amount", "-0.05 EUR"),
        ({"amount_minor": 10**15}, "bad_amount", "10,000,000,000,000.00 EUR"),
        ({"currency": "usd"}, "wrong_currency", "is paid in EUR, not in USD"),
        ({"reference": ""}, "bad_reference", "1 to 128"),
        ({"reference": "x" * 129}, "bad_reference", "1 to 128"),
        ({"statement_descriptor": "x" * 23}, "bad_descriptor", "1 to 22"),
        ({"statement_descriptor": "NORD <7>"}, "bad_descriptor", "without <"),
        ({"minimum_minor": 50_001}, "below_minimum", "less than the smallest payout"),
    ],
)
def test_what_cannot_be_requested_is_refused_with_the_reason_and_nothing_moves(
    engine: Engine, partner: Partner, wish: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(RefusedError, match=r".") as refused:
        ask(engine, partner, **wish)
    assert (refused.value.code, said in str(refused.value)) == (code, True), str(refused.value)
    assert requests_of(engine, partner) == []
    assert balances(engine, partner) == {OWED: 50_000, IN_TRANSIT: 0}


def test_nobody_asks_for_an_unknown_or_blocked_partner_or_without_the_scope(
    engine: Engine, partner: Partner
) -> None:
    with pytest.raises(NotFoundError):
        ask(engine, a_partner())
    with pytest.raises(RefusedError, match="takes the scope request"):
        ask(engine, partner, by=actor("vera", Role.VIEWER))
    blocked = owed(engine, 100, state=PartnerState.BLOCKED, state_reason="fraud case 7")
    with pytest.raises(RefusedError, match=r"is blocked \(fraud case 7\)"):
        ask(engine, blocked)


def test_the_minimum_and_the_daily_limit_are_kept(engine: Engine, partner: Partner) -> None:
    limit(engine, partner, LimitKind.MINIMUM, 1_000)
    limit(engine, partner, LimitKind.DAILY, 30_000)

    with pytest.raises(RefusedError, match=r"9\.99 EUR is less than the smallest payout"):
        ask(engine, partner, 999)
    first = ask(engine, partner, 20_000)
    with pytest.raises(RefusedError, match=r"200\.00 EUR was requested today") as refused:
        ask(engine, partner, 10_001)
    assert refused.value.code == "daily_limit"
    ask(engine, partner, 10_000)

    # what was canceled counts no more
    with engine.begin() as connection:
        cancel(connection, first.id, ANNA, "wrong amount", make_id, now_ms())
    ask(engine, partner, 20_000)


def test_from_the_threshold_on_a_second_person_must_approve(engine: Engine, partner: Partner) -> None:
    limit(engine, partner, LimitKind.APPROVAL, 10_000)
    assert ask(engine, partner, 9_999).status == RequestStatus.QUEUED
    large = ask(engine, partner, 10_000)
    assert (large.status, large.needs_approval) == (RequestStatus.AWAITING_APPROVAL, True)


@pytest.fixture
def waiting(engine: Engine, partner: Partner) -> PayoutRequest:
    """A request over 100.00 that anna made and that waits for approval."""
    limit(engine, partner, LimitKind.APPROVAL, 10_000)
    return ask(engine, partner, 10_000)


def decide(engine: Engine, verb: Any, request: PayoutRequest, by: Actor) -> PayoutRequest:
    def work(connection: sa.Connection) -> PayoutRequest:
        done: PayoutRequest = verb(connection, request.id, by, "as agreed", make_id, now_ms())
        return done

    return in_transaction(engine, work)


def test_a_second_person_lets_it_go_and_that_is_on_record(engine: Engine, waiting: PayoutRequest) -> None:
    assert decide(engine, approve, waiting, BEN).status == RequestStatus.QUEUED
    assert column(engine, "SELECT actor FROM approvals WHERE decision = 'approved'") == ["ben"]
    assert "request.approve" in column(engine, "SELECT action FROM audit")
    assert "payout.approved" in column(engine, "SELECT name FROM outbox")


def test_a_second_person_says_no_and_the_amount_is_owed_again(
    engine: Engine, partner: Partner, waiting: PayoutRequest
) -> None:
    assert decide(engine, reject, waiting, BEN).status == RequestStatus.REJECTED
    assert balances(engine, partner) == {OWED: 50_000, IN_TRANSIT: 0}
    assert column(engine, "SELECT actor FROM approvals WHERE decision = 'rejected'") == ["ben"]


@pytest.mark.parametrize(
    ("verb", "ends"), [(approve, "queued"), (reject, "rejected")], ids=["approve", "reject"]
)
def test_what_a_lowered_threshold_stopped_in_the_queue_is_decided_on_too(
    engine: Engine, partner: Partner, verb: Any, ends: str
) -> None:
    # given a request that was queued, and stopped when it would have been sent
    made = ask(engine, partner, 10_000)
    with pytest.raises(RefusedError, match="does not wait for approval"):
        decide(engine, verb, made, BEN)
    with engine.begin() as connection:
        REQUESTS.save(connection, [dataclasses.replace(made, blocked="not_approved")])

    # when a second person decides
    assert decide(engine, verb, made, BEN).status == ends

    # then every move is on record
    assert column(engine, "SELECT to_status FROM request_transitions ORDER BY id") == [
        *("queued", "awaiting_approval", ends)
    ]
    [now] = requests_of(engine, partner)
    assert (now.needs_approval, now.blocked) == (True, None)


@pytest.mark.parametrize("verb", [approve, reject], ids=["approve", "reject"])
@pytest.mark.parametrize(
    ("by", "code"),
    [
        (ANNA, "four_eyes"),
        (dataclasses.replace(ANNA, token_id=99), "four_eyes"),
        (dataclasses.replace(PORTAL, scopes=ANNA.scopes), "four_eyes"),
        (actor("olga", Role.OPERATOR), "not_allowed"),
    ],
    ids=["who asked", "who asked, by another token", "a program", "without the scope"],
)
def test_nobody_else_counts_as_the_second_pair_of_eyes(
    engine: Engine, waiting: PayoutRequest, verb: Any, by: Actor, code: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        decide(engine, verb, waiting, by)
    assert refused.value.code == code
    assert column(engine, "SELECT status FROM payout_requests") == ["awaiting_approval"]
    assert column(engine, "SELECT id FROM approvals") == []


def test_two_who_decide_at_once_leave_one_decision(
    engine: Engine, partner: Partner, waiting: PayoutRequest
) -> None:
    start = threading.Barrier(2)
    codes: list[str] = []

    def one(verb: Any, by: Actor) -> None:
        start.wait()
        try:
            codes.append(decide(engine, verb, waiting, by).status)
        except RefusedError as error:
            codes.append(error.code)

    threads = [
        threading.Thread(target=one, args=(approve, BEN)),
        threading.Thread(target=one, args=(reject, actor("cleo"))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert "not_waiting" in codes
    assert len(column(engine, "SELECT id FROM approvals")) == 1
    rejected = "rejected" in codes
    assert balances(engine, partner)[IN_TRANSIT] == (0 if rejected else 10_000)


def test_cancelation_gives_back_what_was_set_aside_once(engine: Engine, partner: Partner) -> None:
    made = ask(engine, partner, 20_000)
    assert decide(engine, cancel, made, BEN).status == RequestStatus.CANCELED
    assert balances(engine, partner) == {OWED: 50_000, IN_TRANSIT: 0}
    with pytest.raises(RefusedError, match="is canceled already"):
        decide(engine, cancel, made, BEN)
    assert balances(engine, partner) == {OWED: 50_000, IN_TRANSIT: 0}


@pytest.mark.parametrize("status", sorted(set(RequestStatus) - {"awaiting_approval", "queued"}))
def test_what_was_sent_or_ended_cannot_be_canceled(
    engine: Engine, partner: Partner, status: RequestStatus
) -> None:
    made = ask(engine, partner, 20_000)
    with engine.begin() as connection:
        REQUESTS.save(connection, [dataclasses.replace(made, status=status)])
    with pytest.raises(RefusedError) as refused:
        decide(engine, cancel, made, BEN)
    assert refused.value.code == "not_cancelable"
    assert balances(engine, partner)[IN_TRANSIT] == 20_000


def test_while_a_worker_is_at_it_a_request_is_not_canceled(engine: Engine, partner: Partner) -> None:
    made = ask(engine, partner, 20_000)
    with engine.begin() as connection:
        leased = dataclasses.replace(made, lease="w1", lease_until_ms=now_ms() + 60_000)
        REQUESTS.save(connection, [leased])
    with pytest.raises(RefusedError, match="is being sent at this moment"):
        decide(engine, cancel, made, BEN)

    # once its lease ran out without a word, it is
    with engine.begin() as connection:
        REQUESTS.save(connection, [dataclasses.replace(leased, lease_until_ms=now_ms() - 1)])
    assert decide(engine, cancel, made, BEN).lease is None


def test_what_a_worker_has_taken_is_not_canceled_and_the_other_way_round(
    engine: Engine, partner: Partner
) -> None:
    # given requests that a worker takes at the very moment in which somebody cancels them
    winners = set()
    for turn in range(10):
        made = ask(engine, partner, 1_000)
        start = threading.Barrier(2)
        taken: list[bool] = []
        canceled: list[bool] = []

        def take(
            request_id: int = made.id,
            start: Any = start,
            taken: Any = taken,
            late_s: float = max(turn - 5, 0) / 100,
        ) -> None:
            def work(connection: sa.Connection) -> bool:
                request = lock_requests(connection, [request_id])[request_id]
                if request.status != RequestStatus.QUEUED:
                    return False
                leased = dataclasses.replace(request, lease="w1", lease_until_ms=now_ms() + 60_000)
                REQUESTS.save(connection, [leased])
                return True

            start.wait()
            time.sleep(late_s)
            taken.append(in_transaction(engine, work))

        def call_off(
            made: PayoutRequest = made,
            start: Any = start,
            canceled: Any = canceled,
            late_s: float = max(5 - turn, 0) / 100,
        ) -> None:
            start.wait()
            time.sleep(late_s)
            try:
                decide(engine, cancel, made, BEN)
                canceled.append(True)
            except RefusedError as error:
                canceled.append(error.code != "being_sent")

        threads = [threading.Thread(target=take), threading.Thread(target=call_off)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        # then exactly one of the two got it
        assert taken != canceled, (taken, canceled)
        winners.add("worker" if taken[0] else "person")
    assert winners == {"worker", "person"}
    still = [request for request in requests_of(engine, partner) if request.status == RequestStatus.QUEUED]
    assert balances(engine, partner)[IN_TRANSIT] == 1_000 * len(still)


def test_a_person_approves_the_bank_account_that_they_saw(engine: Engine) -> None:
    partner = owed(engine, 100, bank_approved=None)

    def approve_it(by: Actor = BEN, seen: str | None = None) -> Partner:
        with engine.begin() as connection:
            return approve_bank_account(
                *(connection, partner.id, by, "called them back", make_id, now_ms()), seen
            )

    with pytest.raises(RefusedError, match="a person approves a bank account"):
        approve_it(by=dataclasses.replace(PORTAL, scopes=ANNA.scopes))
    with pytest.raises(RefusedError, match=f"has {partner.bank_account} by now, not ba_before"):
        approve_it(seen="ba_before")
    assert approve_it(seen=partner.bank_account).bank_approved == partner.bank_account
    with pytest.raises(RefusedError, match="approved already"):
        approve_it()
    assert column(engine, "SELECT subject_id FROM approvals") == [partner.bank_account]
    assert column(engine, "SELECT action FROM audit") == ["bank_account.approve"]


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 256])
def test_whoever_decides_says_why(engine: Engine, partner: Partner, reason: str) -> None:
    made = ask(engine, partner, 20_000)
    with engine.begin() as connection, pytest.raises(PayoutsError, match=r"reason|say why"):
        cancel(connection, made.id, ANNA, reason, make_id, now_ms())
    assert balances(engine, partner)[IN_TRANSIT] == 20_000
