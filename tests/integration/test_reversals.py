"""Reversals of requested payouts: heard of in any order, failing late, and what the books make of it."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts import mending
from payouts.apply import Applier
from payouts.batch import Rules
from payouts.event import read_envelope, read_payout_object
from payouts.healing import settle_payouts
from payouts.people import Actor, Scope
from payouts.storage import inbox
from payouts.storage.inbox import NewEvent
from payouts.storage.invariants import all_invariants
from tests.support.machine_model import REFUSED, LivingStripe
from tests.support.money import Clock, Payer
from tests.support.requests import migrated

PERSON = Actor("operator-2", 2, 2, frozenset(Scope))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with migrated(database_url) as engine:
        yield engine


class Story:
    """One partner with one request of 1,000, sent; Stripe and people act, events come when told to."""

    def __init__(self, engine: Engine, faults: Sequence[str] = ()) -> None:
        self.stripe = LivingStripe(Clock())
        self.stripe.faults = list(faults)
        self.payer = Payer(engine, self.stripe)
        self.stripe.clock = self.payer.clock
        self.applier = Applier(engine, Rules(self.payer.make_id, self.payer.clock, "tests:1", 20))
        self.partner = self.payer.partner()
        self.request_id = self.payer.request(self.partner)
        self.payer.sender.send(self.request_id)

    def happens(self, payout: str, *roads: int) -> "Story":
        for road in roads:
            self.stripe.move(payout, road)
        return self

    def paid(self, payout: str) -> "Story":
        return self.happens(payout, 0, 0)

    def comes_back(self) -> "Story":
        """Paid, and taken back by a reversal that is paid too: `po_2`."""
        return self.paid("po_1").happens("po_1", 1).paid("po_2")

    def hear(self, *places: int) -> "Story":
        """Events by their place in the order in which things happened, one by one; none: all of them."""
        for place in places or range(len(self.stripe.events)):
            body = self.stripe.events[place]
            event = NewEvent(
                self.payer.make_id(), read_envelope(body), inbox.WEBHOOK, None, self.payer.clock(), body
            )
            with self.payer.engine.begin() as connection:
                ids = inbox.add_events(connection, [event], self.payer.make_id)
            self.applier.apply(ids)
            self.sound()
        return self

    def verb(self, verb: Any) -> "Story":
        with self.payer.engine.begin() as connection:
            verb(connection, self.request_id, PERSON, "looked into", self.payer.make_id, self.payer.clock())
        self.sound()
        return self

    def send(self) -> "Story":
        self.payer.clock.pass_(hours=2)
        self.payer.sender.send(self.request_id)
        self.sound()
        return self

    def sound(self) -> None:
        with self.payer.engine.connect() as connection:
            broken = {
                name: found
                for name, each in all_invariants().items()
                if (found := list(each.find(connection)))
            }
        assert not broken

    @property
    def status(self) -> str:
        return self.payer.status(self.request_id)

    @property
    def balances(self) -> dict[str, int]:
        return self.payer.balances(self.partner)

    def waiting(self) -> int:
        return int(self.payer.value("SELECT COUNT(*) FROM inbox WHERE processed_at_ms IS NULL"))


BACK = {"returned": 1_000, "at_stripe": 1_000}


@pytest.mark.parametrize("seed", range(6))
def test_a_reversal_heard_of_in_any_order_waits_for_nothing_and_ends_returned(
    engine: Engine, seed: int
) -> None:
    story = Story(engine).comes_back()
    places = list(range(len(story.stripe.events)))
    random.Random(seed).shuffle(places)

    story.hear(*places)

    assert (story.status, story.balances) == ("returned", BACK)
    assert story.waiting() == 0
    linked = "SELECT COUNT(*) FROM payouts WHERE request_id = :id"
    assert story.payer.value(linked, id=story.request_id) == 2


def test_paying_again_is_sound_before_stripe_has_told_of_the_original_that_it_was_reversed(
    engine: Engine,
) -> None:
    story = Story(engine).comes_back()
    original_paid, reversal_paid = (
        place for place, body in enumerate(story.stripe.events) if json.loads(body)["type"] == "payout.paid"
    )

    story.hear(original_paid, reversal_paid)
    assert story.payer.value("SELECT status FROM payouts WHERE stripe_id = 'po_1'") == "paid"
    story.verb(mending.retry).send()
    assert (story.status, list(story.stripe.payouts)) == ("sent", ["po_1", "po_2", "po_3"])

    story.happens("po_2", 0).hear()
    assert story.status == "sent"


def test_a_reversal_that_is_paid_before_its_original_is_known_as_paid_moves_no_books_yet(
    engine: Engine,
) -> None:
    story = Story(engine).comes_back()
    last = len(story.stripe.events) - 1

    story.hear(last)
    assert (story.status, story.waiting()) == ("sent", 0)
    assert story.balances == {"in_transit": 1_000, "at_bank": 1_000}
    assert story.payer.value("SELECT origin FROM payouts WHERE stripe_id = 'po_2'") == "foreign"

    story.hear()
    assert (story.status, story.balances) == ("returned", BACK)
    assert story.payer.value("SELECT origin FROM payouts WHERE stripe_id = 'po_2'") == "requested"


def test_a_reversal_whose_original_was_unknown_is_linked_when_that_turns_out_to_be_a_requests(
    engine: Engine,
) -> None:
    """The answer to the call was lost, and no event of the payout came: only those of its reversal."""
    story = Story(engine, faults=["", "lost after"]).comes_back()
    last = len(story.stripe.events) - 1

    story.hear(last)
    assert story.payer.value("SELECT COUNT(*) FROM payouts") == 1

    story.hear()
    assert (story.status, story.balances) == ("returned", BACK)


def test_what_stripe_lists_follows_the_same_rule(engine: Engine) -> None:
    story = Story(engine).comes_back()
    original, reversal = (
        read_payout_object(json.dumps(story.stripe.payouts[key]).encode()) for key in ("po_1", "po_2")
    )
    for found in ([reversal], [original]):
        with engine.begin() as connection:
            settle_payouts(connection, story.payer.make_id, story.payer.clock(), story.partner.account, found)
        story.sound()

    assert (story.status, story.balances) == ("returned", BACK)


def test_a_foreign_reversal_stays_foreign(engine: Engine) -> None:
    story = Story(engine).comes_back()
    story.stripe.events = [
        body.replace(b'"po_1"', b'"po_8"').replace(b'"po_2"', b'"po_9"').replace(b"payout_leg", b"other")
        for body in story.stripe.events
    ]

    story.hear()

    assert story.status == "sent"
    assert story.payer.value("SELECT COUNT(*) FROM payouts WHERE request_id IS NULL") == 2
    assert story.waiting() == 0


def test_a_reversal_that_fails_while_its_money_lies_there_gives_the_request_back_to_paid(
    engine: Engine,
) -> None:
    story = Story(engine).comes_back().happens("po_2", 1).hear()

    assert (story.status, story.balances) == ("paid", {"paid": 1_000, "at_bank": 1_000})


def test_a_reversal_that_fails_after_its_money_was_sent_again_makes_the_partner_owe_it(
    engine: Engine,
) -> None:
    story = Story(engine).comes_back().hear().verb(mending.retry).send().paid("po_3").hear()

    story.happens("po_2", 1).hear()

    assert story.status == "paid"
    assert story.balances == {
        "owed": -1_000,
        "paid": 1_000,
        "overpaid": 1_000,
        "at_bank": 2_000,
        "at_stripe": -1_000,
    }
    alerts = "SELECT COUNT(*) FROM outbox WHERE name = 'alert.paid_twice'"
    assert story.payer.value(alerts) == 1


def test_what_was_sent_again_and_comes_back_leaves_the_first_payment_standing(engine: Engine) -> None:
    story = Story(engine).comes_back().hear().verb(mending.retry).send().happens("po_2", 1).hear()
    assert story.balances["owed"] == -1_000

    story.happens("po_3", 1).hear()

    assert (story.status, story.balances) == ("paid", {"paid": 1_000, "at_bank": 1_000})


def test_nothing_is_sent_again_once_the_reversal_has_failed(engine: Engine) -> None:
    """A worker had not come to it yet, and the account holds another request's money."""
    story = Story(engine).comes_back().hear().verb(mending.retry).happens("po_2", 1).hear()
    other = story.payer.request(story.partner)
    story.stripe.transfers["tr_9"] = {
        "id": "tr_9",
        "destination": story.partner.account,
        "amount": 1_000,
        "amount_reversed": 0,
        "metadata": {},
    }

    story.send()

    assert (story.status, set(story.stripe.payouts)) == ("paid", {"po_1", "po_2"})
    assert story.balances == {"paid": 1_000, "at_bank": 1_000, "in_transit": 1_000}
    assert story.payer.status(other) == "queued"


def test_nothing_is_taken_back_once_the_reversal_has_failed(engine: Engine) -> None:
    story = Story(engine).comes_back().hear().verb(mending.reverse).happens("po_2", 1).hear()
    assert story.status == "reversing"

    story.send()

    assert (story.status, story.balances) == ("paid", {"paid": 1_000, "at_bank": 1_000})
    assert story.stripe.reversals == {}


def test_a_reversal_that_fails_after_its_money_was_taken_back_leaves_nothing_owed(engine: Engine) -> None:
    story = Story(engine).comes_back().hear().verb(mending.reverse).send()
    assert (story.status, story.balances) == ("reversed", {"owed": 1_000})

    story.happens("po_2", 1).hear()

    assert story.status == "reversed"
    assert story.balances == {"overpaid": 1_000, "at_bank": 1_000, "at_stripe": -1_000}


@pytest.mark.parametrize(("taken_minor", "is_right"), [(0, True), (1, False)])
def test_a_stripe_account_may_owe_what_was_overpaid_and_not_a_cent_more(
    engine: Engine, taken_minor: int, is_right: bool
) -> None:
    Story(engine).comes_back().hear().verb(mending.reverse).send().happens("po_2", 1).hear()
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE ledger_accounts SET balance_minor = balance_minor - :n WHERE kind = 'at_stripe'"),
            {"n": taken_minor},
        )
    with engine.connect() as connection:
        found = list(all_invariants()["nothing_is_negative"].find(connection))
    assert (found == []) == is_right


def test_a_retry_counts_as_going_out_again_and_what_stripe_refused_does_not(engine: Engine) -> None:
    counted = "SELECT SUM(amount_minor) FROM outflow WHERE account = 'platform'"
    story = Story(engine).comes_back().hear().verb(mending.retry)
    assert story.payer.value(counted) == 1_000

    story.stripe.faults = [REFUSED]
    story.send()
    assert (story.status, story.payer.value(counted)) == ("returned", 1_000)

    story.verb(mending.retry).send()
    assert (story.status, story.payer.value(counted)) == ("sent", 2_000)


def test_what_waited_for_its_balance_counts_when_it_goes_out(engine: Engine) -> None:
    first, again = (
        "SELECT COALESCE(SUM(amount_minor), 0) FROM outflow WHERE account = 'platform' AND minute <= :at",
        "SELECT COALESCE(SUM(amount_minor), 0) FROM outflow WHERE account = 'platform' AND minute > :at",
    )
    story = Story(engine, faults=["no money"])
    at = story.payer.clock() // 60_000
    assert (story.status, story.payer.value(first, at=at)) == ("queued", 0)

    story.send()

    assert story.status == "sent"
    assert (story.payer.value(first, at=at), story.payer.value(again, at=at)) == (0, 1_000)
