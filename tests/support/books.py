"""A small platform with all that moves money, driven step by step: for tests of what must stay true."""

import random
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine

from payouts import canceling, mending
from payouts.apply import Applier
from payouts.batch import Rules
from payouts.checking import check
from payouts.crediting import Change, change_owed
from payouts.errors import RefusedError
from payouts.event import read_envelope
from payouts.partner import Partner
from payouts.requesting import Source, Wish, request_payout
from payouts.storage import inbox
from payouts.storage.inbox import NewEvent
from payouts.storage.unit import in_transaction
from tests.support.lives import event_body, payout_object
from tests.support.money import Payer
from tests.support.partners import OPERATOR
from tests.support.small_stripe import FAULTS, SmallStripe

LIVES = (
    ("pending", "in_transit", "paid"),
    ("pending", "in_transit", "paid", "failed"),
    ("pending", "failed"),
    ("pending", "canceled"),
    ("pending", "paid", "reversed", "back pending", "back paid"),
    ("pending", "paid", "reversed", "back pending", "back paid", "back failed"),
)
"""What becomes of a payout at Stripe; `back`: of the payout that reverses it."""


def violations(engine: Engine) -> dict[str, list[str]]:
    """What breaks an invariant, by the invariant's name."""
    return {
        finding.name: [f"{each.subject}: {each.text}" for each in finding.violations]
        for finding in check(engine)
        if finding.violations
    }


class World(Payer):
    """Partners, requests, a Stripe and its events, with a person who decides; `rng` says what happens."""

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self.stripe = SmallStripe()
        super().__init__(engine, self.stripe)
        self.rng = rng
        self.partners = [self.partner(number) for number in range(1, 4)]
        self.requests: list[int] = []
        self.lives: dict[str, tuple[str, ...]] = {}
        self.told: dict[str, set[str]] = {}
        self.count = 0
        self.applier = Applier(engine, Rules(self.make_id, self.clock, "tests:1", 3))

    def step(self) -> None:
        """Something happens. What is refused as things stand is fine."""
        what = self.rng.choice(
            [self.credit, self.request_some, self.send, self.send, self.event, self.event, self.decide]
        )
        what()
        self.clock.pass_(minutes=self.rng.choice([0, 1, 20]))

    def credit(self) -> None:
        amount = self.rng.randint(-3_000, 9_000) or 1
        self.count += 1
        change = Change(amount, "eur", f"change-{self.count if self.rng.random() < 0.9 else 1}")
        partner = self.rng.choice(self.partners)
        self._try(lambda c: change_owed(c, partner, change, OPERATOR, self.make_id, self.clock()))

    def request_some(self) -> None:
        amount = self.rng.choice([None, self.rng.randint(1, 5_000)])
        wish = Wish(self.rng.choice(self.partners).id, amount, Source.API)
        made = self._try(lambda c: request_payout(c, wish, OPERATOR, self.make_id, self.clock()))
        if made is not None:
            self.requests.append(made.id)

    def send(self) -> None:
        for partner in self.partners:  # whatever Stripe said of it is mended
            self._try(lambda c, partner=partner: self._mend(c, partner))
        if self.requests:
            self.stripe.faults = [self.rng.choice([*FAULTS, "", "", "", "", ""]) for _ in range(2)]
            self.stripe.refuse = self.rng.choice([{}, {}, {}, {"payouts.create": "no_account"}])
            self.sender.send(self.rng.choice(self.requests))

    def event(self) -> None:
        """Stripe tells of a payout: any moment of its life, in whatever order, more than once or never. A
        reversal comes after what it takes back."""
        if self.stripe.payouts:
            made = self.rng.choice(list(self.stripe.payouts.values()))
            life = self.lives.setdefault(made["id"], self.rng.choice(LIVES))
            status = self.rng.choice(life)
            told = self.told.setdefault(made["id"], set())
            if status.startswith("back ") and not told & {"paid", "reversed"}:
                return
            told.add(status)
            reversal, status = status.startswith("back "), status.removeprefix("back ")
            if reversal:
                back = {"original_payout": made["id"]}
                self.tell(payout_object(f"{made['id']}back", status, -made["amount"], **back), made)
            else:
                self.tell(payout_object(made["id"], status, made["amount"], metadata=made["metadata"]), made)

    def tell(self, payout: dict[str, Any], made: dict[str, Any]) -> None:
        """Deliver one event about a payout, and apply it."""
        self.count += 1
        body = event_body(f"evt_{self.count}", "updated", payout, account=made["account"])
        event = NewEvent(
            id=self.make_id(),
            envelope=read_envelope(body),
            source=inbox.WEBHOOK,
            secret=None,
            received_at_ms=self.clock(),
            payload=body,
        )
        with self.engine.begin() as connection:
            inbox.add_events(connection, [event], self.make_id)
        self.applier.apply([event.id])

    def decide(self) -> None:
        """A person cancels, sends again, takes back, or looks."""
        if self.requests:
            verb = self.rng.choice([canceling.cancel, mending.retry, mending.reverse, mending.look])
            request_id = self.rng.choice(self.requests)
            self._try(lambda c: verb(c, request_id, OPERATOR, "because", self.make_id, self.clock()))

    def _mend(self, connection: Connection, partner: Partner) -> None:
        from payouts.storage.partner_rows import PARTNERS

        PARTNERS.save(connection, [partner])

    def _try(self, work: Callable[[Connection], Any]) -> Any:
        try:
            return in_transaction(self.engine, work)
        except RefusedError:
            return None
