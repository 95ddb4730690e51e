"""A payer whose database can be put back to how it was, with what brings its books forward again."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from payouts import recovering
from payouts.apply import Applier
from payouts.batch import Rules
from payouts.ledger import LedgerKind
from payouts.people import Actor, Scope
from payouts.recovery import Recovery, RecoveryStep
from payouts.regaining import Regainer
from payouts.storage.columns import metadata
from payouts.storage.unit import in_transaction
from payouts.walking import Walker
from tests.support.reconciling import ACCOUNT, Bench

ANNA = Actor("anna", 1, 11, frozenset(Scope))
BEN = Actor("ben", 2, 12, frozenset(Scope))
SETTLE_MS = 60_000
MOST_PIECES = 200

Backup = Mapping[str, list[dict[str, Any]]]


class Restorer(Bench):
    """A bench with backups, and with what closes the gap after one was restored."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.applier = Applier(self.engine, Rules(self.make_id, self.clock, "tests:1", 3))
        self.walker = Walker(
            self.engine,
            self.gateway,
            self.make_id,
            self.clock,
            livemode=False,
            hint=lambda ids: self.applier.apply(list(ids)) and None,
        )
        self.regainer = Regainer(
            self.engine,
            self.gateway,
            self.make_id,
            self.clock,
            self.walker,
            self.reconciler,
            SETTLE_MS,
        )

    def backup(self) -> Backup:
        """All rows of all tables, as they are now; then time passes."""
        with self.engine.connect() as connection:
            taken = {
                table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
                for table in metadata.sorted_tables
            }
        self.pass_(minutes=1)
        return taken

    def restore(self, taken: Backup) -> None:
        """Put the database back to how it was."""
        with self.engine.begin() as connection:
            for table in metadata.sorted_tables:
                connection.execute(table.delete())
                if taken[table.name]:
                    connection.execute(table.insert(), taken[table.name])
        self.pass_(minutes=1)

    def begin(self, gap_from_ms: int, actor: Actor = ANNA) -> Recovery:
        return in_transaction(
            self.engine,
            lambda c: recovering.begin(c, gap_from_ms, actor, "restored", self.make_id, self.clock()),
        )

    def close_the_gap(self, run_by: str = "anna") -> Recovery:
        """Take pieces until all is done."""
        self.stripe.balances[ACCOUNT] = {"eur": 1_000_000}
        for _ in range(MOST_PIECES):
            self.stripe.balances[None] = {"eur": self.platform(LedgerKind.STRIPE_BALANCE)}
            held = self.regainer.step(run_by)
            assert held is not None
            if held.step == RecoveryStep.DONE:
                return held
            self.pass_(seconds=self.regainer.wait_ms(held) / 1000)
        raise AssertionError("the gap is never closed")

    def finish(self, actor: Actor = BEN) -> Recovery:
        over = in_transaction(
            self.engine, lambda c: recovering.finish(c, actor, "looked at", self.make_id, self.clock())
        )
        recovering.wake_stopped(self.engine, self.clock)
        return over

    def recover(self, gap_from_ms: int) -> Recovery:
        """Begin, close the gap and end it."""
        self.begin(gap_from_ms)
        self.close_the_gap()
        return self.finish()

    def go_on(self, request_id: int) -> None:
        """A worker looks at a request, a while later."""
        self.pass_(minutes=10)
        self.sender.send(request_id)

    def made(self) -> tuple[int, int]:
        """How many transfers and payouts Stripe has."""
        return len(self.stripe.transfers), len(self.stripe.payouts)
