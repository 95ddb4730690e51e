"""Requested payouts that live their lives in a test's process: asked for, sent, told of by events, mended."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from payouts import ledger
from payouts.apply import Applier
from payouts.as_of import as_of
from payouts.batch import Rules
from payouts.calls import Answer, FrozenCall
from payouts.event import read_envelope
from payouts.history import Rows
from payouts.people import Actor, Scope
from payouts.requesting import Source, Wish, request_payout
from payouts.storage import inbox
from payouts.storage.engine import build_engine
from payouts.storage.history_queries import balances_at, find, read_rows
from payouts.storage.inbox import NewEvent
from payouts.storage.ledger_rows import post
from payouts.storage.queries import reading
from payouts.timeline import Entry, timeline
from tests.support.databases import bring_up_to_date
from tests.support.lives import event_body
from tests.support.money import Payer
from tests.support.small_stripe import SmallStripe

ANNA = Actor("anna", 1, 11, frozenset(Scope))
BEN = Actor("ben", 2, 12, frozenset(Scope))
CALL_S = 0.2
"""How long each call takes by the clock of the test."""


class SlowStripe(SmallStripe):
    """A Stripe whose calls take their time."""

    payer: Payer

    def send(self, call: FrozenCall) -> Answer:
        answer = super().send(call)
        self.payer.clock.pass_(seconds=CALL_S)
        return answer


class Story(Payer):
    """A database with one partner, and what happens to its payouts, a second apart."""

    def __init__(self, url: str) -> None:
        engine = build_engine(url, timeout_s=10, pool_size=5)
        bring_up_to_date(engine)
        self.stripe = SlowStripe()
        self.stripe.payer = self
        super().__init__(engine, self.stripe)
        self.applier = Applier(engine, Rules(self.make_id, self.clock, "tests:1", 3))
        self.nord = self.partner()

    def ask(self, amount_minor: int = 12_050, by: Actor = ANNA, **wish: Any) -> int:
        """Credit the partner and request a payout over all of it; the row id of the request."""
        of = (self.nord.account, self.nord.id, self.nord.currency)
        credit = ledger.Entry(
            "credit", f"credit:{self.make_id()}", *of, ledger.credit(amount_minor), self.clock()
        )
        asked = Wish(self.nord.id, amount_minor, Source.COMMAND, **wish)
        with self.happens() as connection:
            post(connection, [credit], self.make_id, self.clock())
            return request_payout(connection, asked, by, self.make_id, self.clock()).id

    def do(self, verb: Any, request_id: int, reason: str, by: Actor = BEN) -> None:
        """A person does something about a request."""
        with self.happens() as connection:
            verb(connection, request_id, by, reason, self.make_id, self.clock())

    def send(self, request_id: int) -> None:
        self.clock.pass_(seconds=1)
        self.sender.send(request_id)

    def event(self, event_id: str, payout_id: str, status: str, **more: Any) -> None:
        """Stripe's payout comes to a state, and its event is received and, a little later, applied."""
        held = self.stripe.payouts.setdefault(payout_id, {"id": payout_id, "object": "payout"})
        held |= {"status": status, **more}
        kind = status if status in ("paid", "failed", "canceled") else "updated"
        self.deliver(event_body(event_id, kind, held, account=self.nord.account))

    def deliver(self, body: bytes) -> None:
        """Deliver an event, perhaps again."""
        self.clock.pass_(seconds=1)
        received = NewEvent(
            self.make_id(), read_envelope(body), inbox.WEBHOOK, None, self.clock(), payload=body
        )
        with self.engine.begin() as connection:
            new = inbox.add_events(connection, [received], self.make_id)
        self.clock.pass_(seconds=0.05)
        self.applier.apply(new)

    def rows(self, key: str | int, at_ms: int | None = None) -> Rows:
        """What `payout show` reads."""
        with reading(self.engine) as connection:
            rows = read_rows(connection, find(connection, str(key)))
            if at_ms is None:
                return rows
            return as_of(rows, at_ms, balances_at(connection, self.nord.id, at_ms))

    def told(self, key: str | int, at_ms: int | None = None) -> list[Entry]:
        return timeline(self.rows(key, at_ms))

    @contextmanager
    def happens(self) -> Iterator[Connection]:
        self.clock.pass_(seconds=1)
        with self.engine.begin() as connection:
            yield connection
