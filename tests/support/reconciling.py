"""A payer with a reconciler at its side, and what it found."""

import dataclasses
from typing import Any

import sqlalchemy as sa

from payouts.budget import Budget
from payouts.gateway import StripeGateway
from payouts.ids import IdMaker
from payouts.ledger import LedgerKind
from payouts.reconciling import Reconciler
from payouts.sending import Sender
from payouts.storage.engine import build_engine
from payouts.storage.partner_rows import PARTNERS
from tests.support.databases import bring_up_to_date
from tests.support.money import Payer
from tests.support.small_stripe import SmallStripe

ACCOUNT = "acct_1"
PLENTY = 10_000


class Bench(Payer):
    """A payer with a reconciler at its side."""

    even_balances = True
    """Stripe holds what our books say, until a test says otherwise."""

    def __init__(self, url: str, gateway: StripeGateway | None = None) -> None:
        engine = build_engine(url, timeout_s=10, pool_size=10)
        bring_up_to_date(engine)
        self.stripe = SmallStripe()
        super().__init__(engine, gateway or self.stripe)
        self.make_id = IdMaker(self.clock)  # ids tell the time: of the test's clock
        self.rules = dataclasses.replace(self.rules, make_id=self.make_id)
        self.sender = Sender(engine, self.gateway, self.rules)
        self.reconciler = Reconciler(engine, self.gateway, self.make_id, self.clock)
        self.budget = Budget(PLENTY)

    def pass_(self, **spans: float) -> None:
        """Time passes, here and at Stripe."""
        self.clock.pass_(**spans)
        self.stripe.now_s = self.clock() // 1000

    def sent(self, amount_minor: int = 1_000) -> int:
        """A request of the first partner that was sent, an hour ago."""
        partner = self.first() or self.partner()
        request_id = self.request(partner, amount_minor)
        self.sender.send(request_id)
        self.pass_(hours=1)
        return request_id

    def first(self) -> Any:
        with self.engine.connect() as connection:
            return next(iter(PARTNERS.find(connection)), None)

    def compare(self, account: str = ACCOUNT) -> bool:
        self.pass_(seconds=1)
        if self.even_balances:
            self.stripe.balances[None] = {"eur": self.platform(LedgerKind.STRIPE_BALANCE)}
            self.stripe.balances[ACCOUNT] = {"eur": 1_000_000}
        return self.reconciler.compare(account, self.budget)

    def rows(self, sql: str = "SELECT * FROM differences ORDER BY id") -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(sql)))

    def open(self) -> list[tuple[str, str]]:
        """Kind and subject of each difference that is not gone."""
        return sorted((row.kind, row.subject) for row in self.rows() if row.healed_at_ms is None)

    def healed(self) -> list[tuple[str, str, str]]:
        return [(row.kind, row.subject, row.healed_how) for row in self.rows() if row.healed_at_ms]

    def alerts(self) -> int:
        return int(self.value("SELECT COUNT(*) FROM outbox WHERE name = 'alert.difference'"))

    def everything(self) -> dict[str, list[Any]]:
        """All rows that say something about money."""
        tables = ("payouts", "payout_requests", "legs", "leg_attempts", "postings", "payout_transitions")
        return {name: self.rows(f"SELECT * FROM {name} ORDER BY id") for name in tables}
