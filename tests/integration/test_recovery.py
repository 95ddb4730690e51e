"""After a restore nothing is sent, so nothing twice, until the books have what Stripe did meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest

from payouts import approving, ledger, mending
from payouts.adopting import Adopter
from payouts.doctor.finding import Level
from payouts.doctor.recovery import judge_recovery
from payouts.errors import GatewayError, RefusedError
from payouts.holding import release_by_id
from payouts.ledger import Entry
from payouts.people import Actor, Scope
from payouts.recovery import RecoveryStep
from payouts.requesting import Source, Wish, request_payout
from payouts.states import RequestStatus
from payouts.storage.columns import PLATFORM
from payouts.storage.invariants import all_invariants
from payouts.storage.ledger_rows import post
from payouts.storage.recovery_rows import open_recovery
from payouts.storage.unit import in_transaction
from tests.support.reconciling import ACCOUNT
from tests.support.restoring import ANNA, BEN, Restorer


@pytest.fixture
def bench(database_url: str) -> Iterator[Restorer]:
    made = Restorer(database_url)
    yield made
    made.engine.dispose()


def test_while_a_recovery_is_open_nothing_is_sent_and_a_request_says_so(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    bench.begin(bench.clock())

    bench.go_on(request_id)

    assert bench.stripe.calls == []
    assert (bench.status(request_id), bench.blocked(request_id)) == ("queued", "recovery")
    assert bench.value("SELECT COUNT(*) FROM outbox WHERE name = 'alert.recovery_begun'") == 1


def test_what_was_queued_then_and_paid_since_is_not_paid_again(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    taken, at_ms = bench.backup(), bench.clock()
    bench.sender.send(request_id)
    assert bench.made() == (1, 1)
    bench.restore(taken)

    bench.recover(at_ms)
    bench.go_on(request_id)

    assert bench.made() == (1, 1)
    assert bench.status(request_id) == "sent"
    assert bench.balances(bench.first()) == {"in_transit": 1_000, "at_bank": 1_000}
    assert bench.open() == []
    _is_sound(bench)


def test_without_a_recovery_it_would_be_paid_twice(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    taken = bench.backup()
    bench.sender.send(request_id)
    bench.restore(taken)

    bench.go_on(request_id)

    assert bench.made() == (2, 2)


def test_what_was_approved_since_and_paid_is_not_paid_again(bench: Restorer) -> None:
    request_id = bench.request(bench.partner(), status=RequestStatus.AWAITING_APPROVAL, needs_approval=True)
    taken, at_ms = bench.backup(), bench.clock()
    _do(bench, approving.approve, request_id)
    bench.sender.send(request_id)
    bench.restore(taken)

    bench.recover(at_ms)
    bench.go_on(request_id)

    assert bench.made() == (1, 1)
    assert bench.status(request_id) == "sent"
    _is_sound(bench)


def test_a_transfer_whose_payout_was_not_made_goes_on_with_the_payout_alone(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    taken, at_ms = bench.backup(), bench.clock()
    bench.stripe.faults = ["", "lost before"]
    bench.sender.send(request_id)
    assert bench.made() == (1, 0)
    bench.restore(taken)

    bench.begin(at_ms)
    bench.close_the_gap()
    assert bench.made() == (1, 0)
    bench.finish()
    bench.go_on(request_id)

    assert bench.made() == (1, 1)
    assert bench.status(request_id) == "sent"
    _is_sound(bench)


def test_an_attempt_that_was_open_then_is_looked_for_and_never_repeated(bench: Restorer) -> None:
    bench.stripe.faults = ["lost before"]
    request_id = bench.request(bench.partner())
    bench.sender.send(request_id)
    at_ms = bench.clock()

    bench.recover(at_ms)
    bench.go_on(request_id)
    bench.go_on(request_id)

    assert bench.made() == (0, 0)
    assert len(bench.stripe.calls) == 1
    assert bench.status(request_id) == "unclear"


def test_an_attempt_refused_since_and_followed_by_another_does_not_pay_a_third_time(bench: Restorer) -> None:
    bench.stripe.faults = ["lost before", "no money"]
    request_id = bench.request(bench.partner())
    bench.sender.send(request_id)
    taken, at_ms = bench.backup(), bench.clock()
    bench.go_on(request_id)
    bench.pass_(hours=2)
    bench.sender.send(request_id)
    assert bench.made() == (1, 1)
    bench.restore(taken)

    bench.recover(at_ms)
    bench.go_on(request_id)

    assert bench.made() == (1, 1)
    assert bench.status(request_id) == "sent"
    _is_sound(bench)


def test_a_payout_that_failed_since_and_was_sent_again_is_paid_once(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    bench.sender.send(request_id)
    taken, at_ms = bench.backup(), bench.clock()
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.pass_(hours=1)
    bench.compare()
    _do(bench, mending.retry, request_id)
    bench.sender.send(request_id)
    bench.stripe.payouts["po_2"]["status"] = "paid"
    bench.restore(taken)

    bench.recover(at_ms)
    bench.go_on(request_id)

    assert bench.made() == (1, 2)
    assert bench.status(request_id) == "paid"
    assert bench.balances(bench.first()) == {"paid": 1_000, "at_bank": 1_000}
    _is_sound(bench)


def test_a_payout_refused_since_and_sent_again_is_paid_once(bench: Restorer) -> None:
    bench.stripe.faults = ["", "lost before"]
    request_id = bench.request(bench.partner())
    bench.sender.send(request_id)
    taken, at_ms = bench.backup(), bench.clock()
    bench.stripe.refuse = {"payouts.create": "amount_too_small"}
    bench.go_on(request_id)
    bench.stripe.refuse = {}
    assert bench.status(request_id) == "returned"
    _do(bench, mending.retry, request_id)
    bench.sender.send(request_id)
    assert bench.status(request_id) == "sent"
    bench.restore(taken)

    bench.recover(at_ms)
    bench.go_on(request_id)

    assert bench.made() == (1, 1)
    assert bench.status(request_id) == "sent"
    _is_sound(bench)


def test_a_transfer_taken_back_since_is_owed_again(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    taken, at_ms = bench.backup(), bench.clock()
    bench.sender.send(request_id)
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.pass_(hours=1)
    bench.compare()
    _do(bench, mending.reverse, request_id)
    bench.sender.send(request_id)
    assert bench.status(request_id) == "reversed"
    bench.restore(taken)

    bench.recover(at_ms)
    bench.go_on(request_id)

    assert bench.made() == (1, 1)
    assert bench.status(request_id) == "reversed"
    assert bench.balances(bench.first()) == {"owed": 1_000}
    _is_sound(bench)


def test_a_transfer_that_was_being_taken_back_then_is_taken_back_once(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    at_ms = bench.clock()
    bench.sender.send(request_id)
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.pass_(hours=1)
    bench.compare()
    _do(bench, mending.reverse, request_id)
    bench.stripe.faults = ["lost after"]
    bench.sender.send(request_id)
    assert bench.status(request_id) == "reversing"

    bench.recover(at_ms)
    bench.go_on(request_id)

    assert len(bench.stripe.reversals) == 1
    assert bench.status(request_id) == "reversed"
    assert bench.value("SELECT COUNT(*) FROM leg_attempts WHERE status = 'open'") == 0
    _is_sound(bench)


def test_nothing_is_taken_back_while_a_recovery_is_open(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    bench.sender.send(request_id)
    bench.stripe.payouts["po_1"]["status"] = "failed"
    bench.pass_(hours=1)
    bench.compare()
    _do(bench, mending.reverse, request_id)
    bench.begin(bench.clock())

    bench.sender.send(request_id)

    assert bench.stripe.reversals == {}
    assert bench.blocked(request_id) == "recovery"


def test_the_doctor_says_that_nothing_is_sent_and_what_to_do(bench: Restorer) -> None:
    bench.begin(bench.clock())
    with bench.engine.connect() as connection:
        held = open_recovery(connection)
    bench.pass_(hours=5)

    found = judge_recovery(held, bench.clock())

    assert (found.level, found.text) == (
        Level.BAD,
        "nothing is sent: a recovery is open for 5 h, at transfers",
    )
    assert judge_recovery(None, bench.clock()).level == Level.OK


def test_a_request_that_is_lost_is_named_and_its_partner_is_held_until_a_person_releases_it(
    bench: Restorer,
) -> None:
    partner = bench.partner()
    taken, at_ms = bench.backup(), bench.clock()
    bench.sender.send(bench.request(partner))
    bench.restore(taken)

    held = bench.recover(at_ms)
    asked_again = bench.request(partner)
    bench.go_on(asked_again)

    assert held.unknown == 2
    assert bench.open() == [("missing_here", "po_1"), ("missing_here", "tr_1")]
    assert bench.made() == (1, 1)
    assert (bench.status(asked_again), bench.blocked(asked_again)) == ("queued", "held")
    hold_id = bench.value("SELECT id FROM holds WHERE active")
    in_transaction(
        bench.engine, lambda c: release_by_id(c, hold_id, BEN, "another one", bench.make_id, bench.clock())
    )
    bench.go_on(asked_again)
    assert bench.made() == (2, 2)


def test_a_lost_request_that_is_adopted_is_in_the_books_once_and_answers_when_it_is_asked_for_again(
    bench: Restorer,
) -> None:
    partner = bench.partner()
    _credit(bench, 5_000)
    taken, at_ms = bench.backup(), bench.clock()
    lost_id = _ask(bench, "order-1")
    bench.sender.send(lost_id)
    bench.stripe.payouts["po_1"]["status"] = "paid"
    bench.restore(taken)
    bench.recover(at_ms)
    adopter = Adopter(bench.engine, bench.gateway, bench.reconciler, bench.make_id, bench.clock)

    adopted = adopter.adopt("tr_1", BEN, "the portal knows it", "order-1")

    assert (adopted.id, adopted.status) == (lost_id, "paid")
    assert bench.balances(partner) == {"owed": 4_000, "paid": 1_000, "at_bank": 1_000}
    assert _ask(bench, "order-1") == lost_id
    assert adopter.adopt("tr_1", BEN, "once more", "order-1").id == lost_id
    assert bench.balances(partner) == {"owed": 4_000, "paid": 1_000, "at_bank": 1_000}
    _is_sound(bench)


def test_a_lost_request_is_not_adopted_before_its_credit_is_booked_again(bench: Restorer) -> None:
    bench.partner()
    taken, at_ms = bench.backup(), bench.clock()
    _credit(bench, 5_000)
    bench.sender.send(_ask(bench, "order-1"))
    bench.restore(taken)
    bench.recover(at_ms)
    adopter = Adopter(bench.engine, bench.gateway, bench.reconciler, bench.make_id, bench.clock)

    with pytest.raises(RefusedError, match="book lost credits first"):
        adopter.adopt("tr_1", BEN, "the portal knows it")

    assert bench.value("SELECT COUNT(*) FROM payout_requests") == 0


def test_a_partner_that_is_lost_too_is_held_when_it_is_registered_again(bench: Restorer) -> None:
    taken, at_ms = bench.backup(), bench.clock()
    bench.sender.send(bench.request(bench.partner()))
    bench.restore(taken)

    bench.recover(at_ms)
    asked_again = bench.request(bench.partner())
    bench.go_on(asked_again)

    assert bench.made() == (1, 1)
    assert bench.blocked(asked_again) == "held"


def test_an_object_that_names_a_request_over_another_amount_moves_nothing(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    taken, at_ms = bench.backup(), bench.clock()
    bench.sender.send(request_id)
    bench.stripe.transfers["tr_1"]["amount"] = 999
    bench.restore(taken)

    bench.recover(at_ms)

    assert bench.status(request_id) == "queued"
    bench.go_on(request_id)
    assert bench.made() == (1, 1)
    assert bench.blocked(request_id) == "held"


def test_the_gap_is_closed_piece_by_piece_and_goes_on_where_it_stopped(bench: Restorer) -> None:
    requests = [bench.request(bench.partner(number)) for number in range(1, 4)]
    taken, at_ms = bench.backup(), bench.clock()
    for request_id in requests:
        bench.sender.send(request_id)
    bench.restore(taken)
    bench.stripe.page_size = 1
    bench.begin(at_ms)
    bench.pass_(minutes=2)
    first = bench.regainer.step("anna")
    assert first is not None
    assert (first.step, first.position, first.attached) == (RecoveryStep.TRANSFERS, "tr_3", 1)

    held = bench.close_the_gap()

    assert held.attached == 6
    assert [each.step for each in held.over] == [*RecoveryStep][:-1]
    assert {bench.status(request_id) for request_id in requests} == {"sent"}


def test_nothing_is_looked_at_before_calls_under_way_have_come_through(bench: Restorer) -> None:
    bench.begin(bench.clock())

    held = bench.regainer.step("anna")

    assert held is not None
    assert held.step == RecoveryStep.TRANSFERS
    assert bench.stripe.reads == []


def test_a_recovery_cannot_be_ended_before_its_gap_is_closed(bench: Restorer) -> None:
    bench.begin(bench.clock())

    with pytest.raises(RefusedError, match="at transfers"):
        bench.finish()


@pytest.mark.parametrize(
    "actor",
    [ANNA, Actor("program:portal", None, 13, frozenset(Scope))],
    ids=["the one who began it", "a program"],
)
def test_only_a_second_person_ends_a_recovery(bench: Restorer, actor: Actor) -> None:
    bench.begin(bench.clock())
    bench.close_the_gap("carla")

    with pytest.raises(RefusedError, match="another person"):
        bench.finish(actor)
    bench.finish(BEN)

    entries = [row.action for row in bench.rows("SELECT action FROM audit ORDER BY id")]
    assert entries == ["recovery.begin", "recovery.finish"]


def test_whoever_closed_the_gap_does_not_end_it(bench: Restorer) -> None:
    bench.begin(bench.clock())
    bench.close_the_gap("ben")

    with pytest.raises(RefusedError, match="run by ben"):
        bench.finish(BEN)


def test_a_second_recovery_is_not_begun_while_one_is_open(bench: Restorer) -> None:
    bench.begin(bench.clock())

    with pytest.raises(RefusedError, match="a recovery is open"):
        bench.begin(bench.clock())


def test_an_account_that_cannot_be_read_is_held_and_holds_up_no_other(bench: Restorer) -> None:
    request_id = bench.request(bench.partner())
    other = bench.request(bench.partner(2))
    bench.stripe.broken[ACCOUNT] = GatewayError("no access", transient=False, no_access=True)

    bench.recover(bench.clock())
    bench.go_on(request_id)
    bench.go_on(other)

    assert bench.blocked(request_id) == "held"
    assert bench.status(other) == "sent"


def _do(bench: Restorer, verb: Any, request_id: int) -> None:
    in_transaction(bench.engine, lambda c: verb(c, request_id, BEN, "tried", bench.make_id, bench.clock()))


def _credit(bench: Restorer, amount_minor: int) -> None:
    partner = bench.first()
    of = (partner.account, partner.id, partner.currency)
    entry = Entry("credit", "credit:1", *of, ledger.credit(amount_minor), bench.clock())
    in_transaction(bench.engine, lambda c: post(c, [entry], bench.make_id, bench.clock()))


def _ask(bench: Restorer, reference: str) -> int:
    wish = Wish(bench.first().id, 1_000, Source.API, reference=reference)
    return in_transaction(
        bench.engine, lambda c: request_payout(c, wish, ANNA, bench.make_id, bench.clock()).id
    )


def _is_sound(bench: Restorer) -> None:
    """The books keep every invariant, and reconciling finds nothing more to say."""
    bench.compare(PLATFORM)
    bench.compare()
    assert bench.open() == []
    with bench.engine.connect() as connection:
        for name, invariant in all_invariants().items():
            assert list(invariant.find(connection)) == [], name
