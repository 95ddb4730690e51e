"""A Stripe whose deliveries may be lost, and the service that catches up with it, in the test's process."""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.apply import Applier
from payouts.batch import Rules
from payouts.event import read_envelope
from payouts.gateway import StripeGateway
from payouts.ids import IdMaker
from payouts.proof import Proof
from payouts.storage import inbox, proof_rows
from payouts.storage.catch_up_rows import find_walk
from payouts.storage.columns import PLATFORM, metadata
from payouts.storage.inbox import NewEvent
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.walk import Cause, Recipe, Walk
from payouts.walking import Walker
from payouts.walks import COMMANDED, PROOF, Walks, Wish, begin
from tests.support.lives import event_body, payout_object
from tests.support.money import Payer
from tests.support.small_stripe import SmallStripe

ACCOUNT = "acct_1"
HOUR_MS = 3_600_000
DAY_S = 86_400


def empty(engine: Engine) -> None:
    """Take every row out of every table."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())


class Catcher(Payer):
    """A database, a Stripe beside it, and what walks its lists."""

    def __init__(self, engine: Engine, gateway: StripeGateway | None = None) -> None:
        self.stripe = SmallStripe()
        super().__init__(engine, gateway or self.stripe)
        self.make_id = IdMaker(self.clock)
        self.applier = Applier(engine, Rules(self.make_id, self.clock, "tests:1", 3))
        self.hinted: list[int] = []
        self.walker = Walker(
            engine, self.gateway, self.make_id, self.clock, livemode=False, hint=self.hinted.extend
        )

    def walks(self, **rules: Any) -> Walks:
        """What begins walks; without rules every six hours, and nothing else."""
        known = {"every_ms": 6 * HOUR_MS, "gap_ms": 0, "reads_most": 1_000, "daily": False}
        return Walks(self.engine, self.make_id, self.clock, **{**known, **rules})

    @property
    def now_s(self) -> int:
        return self.clock() // 1000

    def happens(
        self, count: int = 1, account: str | None = ACCOUNT, *, kind: str = "paid", arrives: bool = False
    ) -> list[str]:
        """Payouts are paid at Stripe, an event each in this second; the events' ids. `arrives`: delivered."""
        made = []
        listed = self.stripe.events.setdefault(account, [])
        for _ in range(count):
            number = sum(map(len, self.stripe.events.values()))
            event_id = f"evt_{account or PLATFORM}_{number}"
            payout = payout_object(f"po_{number}", "paid", created=self.now_s)
            event = json.loads(event_body(event_id, kind, payout, account=account))
            event["created"] = self.now_s
            listed.append(event)
            made.append(event_id)
            if arrives:
                self.arrives(event)
            else:
                self.stripe.untaken.add(event_id)
        return made

    def arrives(self, event: dict[str, Any]) -> None:
        """An event is delivered, and waits to be applied."""
        body = json.dumps(event).encode()
        new = NewEvent(self.make_id(), read_envelope(body), inbox.WEBHOOK, "s", self.clock(), body)
        with self.engine.begin() as connection:
            inbox.add_events(connection, [new], self.make_id)

    def apply(self) -> None:
        """Apply all that is open."""
        self.applier.apply([row.id for row in self.rows("SELECT id FROM inbox WHERE status = 'received'")])

    def wish(self, account: str = ACCOUNT, since_s: int | None = None, **wish: Any) -> Walk:
        """Begin, or go on with, a walk by command over the last day."""
        known: dict[str, Any] = {"cause": Cause.COMMAND, "open_key": COMMANDED, "actor": "anna"}
        since_s = self.now_s - DAY_S if since_s is None else since_s
        known |= {"since_s": since_s, "until_s": self.now_s, **wish}
        return in_transaction(
            self.engine, lambda c: begin(c, Wish(account, **known), self.make_id, self.clock())
        )

    def walk(self, account: str = ACCOUNT, **wish: Any) -> Walk:
        """The same, to its end."""
        return self.go_on(self.wish(account, **wish))

    def go_on(self, walk: Walk) -> Walk:
        while walk.is_open:
            moved = self.walker.step(walk.id)
            assert moved is not None
            walk = moved
        return walk

    def found(self, walk_id: int) -> Walk:
        with reading(self.engine) as connection:
            walk = find_walk(connection, walk_id)
        assert walk is not None
        return walk

    def prove(self, account: str = ACCOUNT, since_s: int | None = None, until_s: int | None = None) -> Proof:
        """A proof over the last day, or these seconds."""
        until_s = self.now_s if until_s is None else until_s
        wish: dict[str, Any] = {"cause": Cause.PROOF, "open_key": PROOF, "until_s": until_s}
        walk = self.walk(account, since_s=until_s - DAY_S if since_s is None else since_s, **wish)
        with reading(self.engine) as connection:
            proof = proof_rows.proof_of_walk(connection, account, walk.id)
        assert proof is not None
        return proof

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(sql), values))

    def inbox(self) -> dict[str, str]:
        """How each event came in, by its id."""
        return {row.event_id: row.source for row in self.rows("SELECT event_id, source FROM inbox")}

    def watermark(self, account: str = ACCOUNT) -> int | None:
        sql = "SELECT walked_until_s FROM catch_up_marks WHERE account = :account"
        found: int | None = self.value(sql, account=account)
        return found


__all__ = ["ACCOUNT", "DAY_S", "HOUR_MS", "Catcher", "Recipe", "empty"]
