"""Sending: whatever an answer is, or none, each request has one transfer and one payout at the most."""

import dataclasses
import random
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from payouts import mending
from payouts.calls import NO_ACCESS, Answer, Call, FrozenCall, Refused
from payouts.clock import now_ms
from payouts.errors import GatewayError, RefusedError
from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.sending import Sender
from payouts.storage.engine import build_engine
from payouts.storage.partner_rows import PARTNERS
from payouts.updating import block
from tests.support.databases import bring_up_to_date
from tests.support.money import Payer
from tests.support.small_stripe import FAULTS, SmallStripe


@pytest.fixture
def payer(database_url: str) -> Iterator[Payer]:
    engine = build_engine(database_url, timeout_s=10, pool_size=10)
    bring_up_to_date(engine)
    yield Payer(engine, SmallStripe())
    engine.dispose()


@pytest.fixture
def stripe(payer: Payer) -> SmallStripe:
    assert isinstance(payer.gateway, SmallStripe)
    return payer.gateway


def test_a_request_is_transferred_and_paid_out_and_the_books_say_where_the_money_is(
    payer: Payer, stripe: SmallStripe
) -> None:
    partner = payer.partner()
    request_id = payer.request(partner, 12_345)

    payer.sender.send(request_id)

    assert payer.status(request_id) == "sent"
    assert [call.call for call in stripe.calls] == [Call.TRANSFER, Call.PAYOUT]
    assert stripe.calls[0].params["destination"] == "acct_1"
    assert (stripe.calls[1].stripe_account, stripe.calls[1].params["destination"]) == ("acct_1", "ba_1")
    assert payer.balances(partner) == {"in_transit": 12_345, "at_bank": 12_345}
    assert payer.value("SELECT status FROM payouts WHERE request_id = :id", id=request_id) == "pending"


def test_sending_twice_sends_once(payer: Payer, stripe: SmallStripe) -> None:
    request_id = payer.request(payer.partner())
    for _ in range(3):
        payer.sender.send(request_id)
    assert len(stripe.calls) == 2


@pytest.mark.parametrize("leg", [0, 1], ids=["transfer", "payout"])
@pytest.mark.parametrize("fault", ["lost before", "lost after", "limited", "in use"])
def test_an_unknown_outcome_is_repeated_with_the_same_key_and_the_same_request(
    payer: Payer, stripe: SmallStripe, leg: int, fault: str
) -> None:
    request_id = payer.request(payer.partner())
    stripe.faults = [""] * leg + [fault]

    payer.sender.send(request_id)
    assert payer.status(request_id) == "sending"
    payer.clock.pass_(minutes=20)
    payer.sender.send(request_id)

    assert payer.status(request_id) == "sent"
    assert stripe.calls[leg] == stripe.calls[leg + 1]
    assert (len(stripe.transfers), len(stripe.payouts)) == (1, 1)


def test_an_error_that_is_kept_under_the_key_is_resolved_by_looking_for_the_object(
    payer: Payer, stripe: SmallStripe
) -> None:
    request_id = payer.request(payer.partner())
    stripe.faults = ["500 after"]
    for _ in range(3):
        payer.sender.send(request_id)
        payer.clock.pass_(minutes=5)
    assert payer.status(request_id) == "sent"
    assert len(stripe.transfers) == 1


def test_where_nothing_is_found_a_person_decides_and_nothing_is_repeated(
    payer: Payer, stripe: SmallStripe
) -> None:
    request_id = payer.request(payer.partner())
    stripe.faults = ["500 before"]
    for _ in range(8):
        payer.sender.send(request_id)
        payer.clock.pass_(minutes=5)
    assert payer.status(request_id) == "unclear"
    calls = len(stripe.calls)
    payer.clock.pass_(hours=30)
    payer.sender.send(request_id)
    assert len(stripe.calls) == calls
    assert payer.value("SELECT name FROM outbox") == "alert.payout_unclear"


def test_what_can_be_looked_for_no_longer_comes_before_a_person_who_can_take_the_money_back(
    payer: Payer, stripe: SmallStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = payer.request(payer.partner())
    stripe.faults = ["", "500 before"]
    payer.sender.send(request_id)

    def find_payout(*_: object) -> bytes | None:
        raise GatewayError("access to the account is lost", transient=False, no_access=True)

    monkeypatch.setattr(stripe, "find_payout", find_payout)
    for _ in range(8):
        payer.clock.pass_(minutes=5)
        payer.sender.send(request_id)
    assert (payer.status(request_id), payer.blocked(request_id)) == ("unclear", "unclear")

    # It was never made, and the partner is not to be paid any more.
    with payer.engine.begin() as connection:
        sql = "UPDATE partners SET state = 'blocked', state_reason = 'access is lost'"
        connection.exec_driver_sql(sql)
    for verb in (mending.release, mending.reverse):
        with payer.engine.begin() as connection:
            verb(connection, request_id, PERSON, "the account is gone", payer.make_id, payer.clock())
        payer.sender.send(request_id)
    assert payer.status(request_id) == "reversed"


@pytest.mark.parametrize("done", [True, False], ids=["it was made", "it was not made"])
def test_past_23_hours_the_call_is_only_looked_for(payer: Payer, stripe: SmallStripe, done: bool) -> None:
    request_id = payer.request(payer.partner())
    stripe.faults = ["lost after" if done else "lost before"]
    payer.sender.send(request_id)

    payer.clock.pass_(hours=23)
    payer.sender.send(request_id)

    assert sum(call.call == Call.TRANSFER for call in stripe.calls) == 1
    assert payer.status(request_id) == ("sent" if done else "unclear")


def test_too_little_money_waits_without_holding_up_and_goes_on_with_a_new_key(
    payer: Payer, stripe: SmallStripe
) -> None:
    partner = payer.partner()
    first, second = payer.request(partner), payer.request(partner)
    stripe.faults = ["no money"]
    payer.sender.send(first)
    assert (payer.status(first), payer.blocked(first)) == ("queued", "platform_balance")
    payer.sender.send(second)
    assert payer.status(second) == "sent"

    payer.clock.pass_(hours=1)
    payer.sender.send(first)

    assert payer.status(first) == "sent"
    keys = [call.idempotency_key for call in stripe.calls if call.call == Call.TRANSFER]
    assert len(set(keys)) == 3


def test_a_transfer_refused_for_good_gives_the_claim_back(payer: Payer, stripe: SmallStripe) -> None:
    partner = payer.partner()
    request_id = payer.request(partner)
    stripe.refuse = {Call.TRANSFER: "parameter_invalid"}
    payer.sender.send(request_id)
    assert payer.status(request_id) == "failed"
    assert payer.balances(partner) == {"owed": 1_000}


def test_a_payout_refused_after_the_transfer_leaves_the_money_where_it_is_and_says_so(
    payer: Payer, stripe: SmallStripe
) -> None:
    partner = payer.partner()
    request_id = payer.request(partner)
    stripe.refuse = {Call.PAYOUT: "payouts_not_allowed"}
    payer.sender.send(request_id)
    assert payer.status(request_id) == "returned"
    assert payer.balances(partner) == {"returned": 1_000, "at_stripe": 1_000}
    assert payer.value("SELECT state FROM partners") == "restricted"


@pytest.mark.parametrize("call", [Call.TRANSFER, Call.PAYOUT])
def test_an_old_refusal_that_comes_after_the_partner_was_mended_restricts_nobody(
    payer: Payer, stripe: SmallStripe, call: Call
) -> None:
    partner = payer.partner()
    request_id = payer.request(partner)
    stripe.refuse = {call: "payouts_not_allowed"}
    stripe.faults = [*[""] * (call == Call.PAYOUT), "lost after"]
    payer.sender.send(request_id)
    assert payer.status(request_id) == "sending"

    # Stripe tells that the account is well; then the same key has the answer of before.
    payer.clock.pass_(minutes=5)
    stripe.refuse = {}
    known_ms = payer.clock()
    with payer.engine.begin() as connection:
        connection.execute(sa.text("UPDATE partners SET refreshed_at_ms = :now"), {"now": known_ms})
    payer.clock.pass_(minutes=15)
    payer.sender.send(request_id)
    assert payer.value("SELECT state FROM partners") == "ready"

    # A transfer, of which nothing has moved, goes out by itself, and soon.
    payer.clock.pass_(minutes=1)
    payer.sender.send(request_id)
    assert payer.status(request_id) == ("sent" if call == Call.TRANSFER else "returned")


def test_a_partner_that_is_blocked_while_a_call_is_refused_stays_blocked(
    payer: Payer, stripe: SmallStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = payer.partner()

    def send(call: FrozenCall) -> Answer:
        with payer.engine.begin() as connection:
            block(connection, partner.id, "looks like fraud", PERSON, payer.make_id, payer.clock())
        return Refused("payouts_not_allowed", "the bank account is errored", 400)

    monkeypatch.setattr(stripe, "send", send)
    payer.sender.send(payer.request(partner))

    assert payer.value("SELECT state FROM partners") == "blocked"
    assert payer.value("SELECT state_reason FROM partners") == "looks like fraud"


@pytest.mark.parametrize("lost_first", [False, True], ids=["at first", "at the second time"])
def test_access_that_was_lost_and_is_back_before_the_answer_is_written_down_restricts_nobody(
    payer: Payer, stripe: SmallStripe, monkeypatch: pytest.MonkeyPatch, lost_first: bool
) -> None:
    request_id = payer.request(payer.partner())
    if lost_first:
        stripe.faults = ["lost before"]
        payer.sender.send(request_id)
        payer.clock.pass_(minutes=20)

    def send(call: FrozenCall) -> Answer:
        payer.clock.pass_(seconds=1)
        with payer.engine.begin() as connection:
            connection.execute(sa.text("UPDATE partners SET refreshed_at_ms = :now"), {"now": payer.clock()})
        return Refused(NO_ACCESS, "access to the account is lost", 403)

    monkeypatch.setattr(stripe, "send", send)
    payer.sender.send(request_id)

    assert payer.value("SELECT state FROM partners") == "ready"


def test_what_a_worker_with_a_fast_clock_began_goes_on_with_slower_ones(
    payer: Payer, stripe: SmallStripe
) -> None:
    fast = IdMaker(lambda: now_ms() + 90_000, node=7)
    ahead = Sender(payer.engine, stripe, dataclasses.replace(payer.rules, make_id=fast))
    request_id = payer.request(payer.partner())
    stripe.faults = ["lost after"]
    ahead.send(request_id)
    payer.clock.pass_(minutes=5)
    stripe.refuse = {Call.PAYOUT: "declined"}
    payer.sender.send(request_id)
    assert payer.status(request_id) == "returned"

    stripe.faults, stripe.refuse = [], {}
    with payer.engine.begin() as connection:
        mending.retry(connection, request_id, PERSON, "the bank is fine now", IdMaker(), payer.clock())
    payer.sender.send(request_id)
    assert payer.status(request_id) == "sent"
    assert len(stripe.payouts) == 1


def test_two_payouts_of_one_partner_never_run_at_once_and_the_second_follows_the_first(
    payer: Payer, stripe: SmallStripe
) -> None:
    partner = payer.partner()
    first, second = payer.request(partner), payer.request(partner)
    stripe.faults = ["lost after"]
    payer.sender.send(first)
    payer.sender.send(second)
    assert (payer.status(first), payer.status(second)) == ("sending", "queued")

    payer.clock.pass_(minutes=20)
    payer.sender.send(first)

    assert (payer.status(first), payer.status(second)) == ("sent", "sent")


def test_in_shadow_mode_all_is_posted_and_nothing_is_called(database_url: str) -> None:
    engine = build_engine(database_url, timeout_s=10, pool_size=2)
    bring_up_to_date(engine)
    stripe = SmallStripe()
    payer = Payer(engine, stripe, shadow=True)
    partner = payer.partner()
    request_id = payer.request(partner)
    payer.sender.send(request_id)
    assert payer.status(request_id) == "shadowed"
    assert payer.balances(partner) == {"paid": 1_000}
    assert stripe.calls == []
    engine.dispose()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_goes_wrong_nobody_is_paid_twice_and_the_sums_agree(payer: Payer, seed: int) -> None:
    rng = random.Random(seed)
    stripe = payer.gateway
    assert isinstance(stripe, SmallStripe)
    stripe.faults = [rng.choice([*FAULTS, "", "", ""]) for _ in range(80)]
    partners = [payer.partner(number) for number in range(1, 6)]
    requests = [payer.request(rng.choice(partners), rng.randint(1, 9_999)) for _ in range(25)]
    for turn in range(34):
        if turn == 30:
            stripe.faults.clear()
        threads = [threading.Thread(target=payer.sender.send, args=(request_id,)) for request_id in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        payer.clock.pass_(minutes=rng.choice([1, 20, 70]) if turn < 30 else 70)

    waiting = (
        "SELECT MIN(r.blocked_text) FROM payout_requests r "
        "WHERE r.status NOT IN ('sent', 'unclear') AND NOT EXISTS "
        "(SELECT 1 FROM payout_requests u WHERE u.partner_id = r.partner_id AND u.status = 'unclear')"
    )
    assert payer.value(waiting) is None, f"seed {seed}: only behind what is unclear may others wait"
    legs = [made["metadata"]["payout_leg"] for made in [*stripe.transfers.values(), *stripe.payouts.values()]]
    assert len(legs) == len(set(legs)), f"seed {seed}: a leg was made twice"
    made = sum(transfer["amount"] for transfer in stripe.transfers.values())
    in_books = sum(payer.balances(p).get(kind, 0) for p in partners for kind in ("at_stripe", "at_bank"))
    assert in_books == made, f"seed {seed}"
    paid_out = sum(payout["amount"] for payout in stripe.payouts.values())
    assert sum(payer.balances(p).get("at_bank", 0) for p in partners) == paid_out, f"seed {seed}"


PERSON = Actor("operator-2", 2, 2, frozenset(Scope))


def returned(payer: Payer, stripe: SmallStripe, partner: Partner) -> int:
    """A request whose payout was refused after its transfer."""
    request_id = payer.request(partner)
    stripe.refuse = {Call.PAYOUT: "no_account"}
    payer.sender.send(request_id)
    stripe.refuse = {}
    with payer.engine.begin() as connection:
        PARTNERS.save(connection, [partner])  # the partner has mended its bank account
    return request_id


def test_what_came_back_is_sent_again_without_a_second_transfer(payer: Payer, stripe: SmallStripe) -> None:
    partner = payer.partner()
    request_id = returned(payer, stripe, partner)

    with payer.engine.begin() as connection:
        mending.retry(connection, request_id, PERSON, "new bank account", payer.make_id, payer.clock())
    payer.sender.send(request_id)

    assert payer.status(request_id) == "sent"
    assert (len(stripe.transfers), len(stripe.payouts)) == (1, 1)
    assert payer.balances(partner) == {"in_transit": 1_000, "at_bank": 1_000}


@pytest.mark.parametrize("fault", ["", "lost after", "500 after"])
def test_what_came_back_is_taken_back_and_owed_again(payer: Payer, stripe: SmallStripe, fault: str) -> None:
    partner = payer.partner()
    request_id = returned(payer, stripe, partner)

    with payer.engine.begin() as connection:
        mending.reverse(connection, request_id, PERSON, "the partner left", payer.make_id, payer.clock())
    stripe.faults = [fault]
    for _ in range(3):
        payer.sender.send(request_id)
        payer.clock.pass_(minutes=10)

    assert payer.status(request_id) == "reversed"
    assert payer.balances(partner) == {"owed": 1_000}
    assert [transfer["amount_reversed"] for transfer in stripe.transfers.values()] == [1_000]


def test_only_what_was_returned_is_retried_or_reversed(payer: Payer) -> None:
    request_id = payer.request(payer.partner())
    for verb in (mending.retry, mending.reverse):
        with payer.engine.begin() as connection, pytest.raises(RefusedError, match="is queued"):
            verb(connection, request_id, PERSON, "because", payer.make_id, payer.clock())


def test_what_a_person_releases_is_sent_anew_with_a_new_key(payer: Payer, stripe: SmallStripe) -> None:
    request_id = payer.request(payer.partner())
    stripe.faults = ["lost before"]
    payer.sender.send(request_id)
    payer.clock.pass_(hours=24)
    payer.sender.send(request_id)
    assert payer.status(request_id) == "unclear"
    asker = dataclasses.replace(PERSON, name="tests")
    with payer.engine.begin() as connection, pytest.raises(RefusedError, match="somebody else"):
        mending.release(connection, request_id, asker, "I looked", payer.make_id, payer.clock())

    with payer.engine.begin() as connection:
        mending.release(connection, request_id, PERSON, "I looked", payer.make_id, payer.clock())
    payer.sender.send(request_id)

    assert payer.status(request_id) == "sent"
    assert len({call.idempotency_key for call in stripe.calls}) == 3
    assert len(stripe.transfers) == 1
