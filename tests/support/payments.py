"""The whole service on the sandbox, an operator who tidies up, and a judge who reads Stripe's own books."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from payouts import mending
from payouts.errors import RefusedError
from payouts.gateway import NoGateway
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.storage.unit import in_transaction
from tests.support.money import Payer
from tests.support.sandbox import Sandbox
from tests.support.servers import wait_until
from tests.support.stack import Stack

SECOND_PERSON = Actor("operator-2", 2, 2, frozenset(Scope))
SETTINGS = {
    "BANK_ACCOUNT_APPROVAL": "false",
    "BANK_COOLING_OFF_HOURS": "0",
    "STRIPE_CALLS_PER_S": "2000",
    "STRIPE_PAYOUTS_PER_S": "2000",
    "STRIPE_TIMEOUT_S": "2",
    "DOUBT_MINUTES": "0.1",
}
"""Of a service that is in a hurry."""
RESTING = ("paid", "returned", "reversed", "unclear", "failed")


class Payments:
    """A stack on a sandbox, with partners that can be paid.

    `secrets`: those of the sandbox's endpoints, where it has them already.
    """

    def __init__(
        self, stack: Stack, sandbox: Sandbox, partners: int, secrets: Mapping[str, str] | None = None
    ) -> None:
        self.stack, self.sandbox = stack, sandbox
        if secrets is None:
            secrets = make_endpoints(sandbox, stack.url)
        stack.env |= {**SETTINGS, **sandbox.settings, **secrets}
        self.payer = Payer(stack.engine, NoGateway())
        self.payer.clock.now_ms = int(time.time() * 1000)
        sandbox.top_up(100_000_000, "eur")
        self.partners = [self._partner(number) for number in range(partners)]
        self.requests: dict[int, int] = {}
        """Amounts by request id."""

    def _partner(self, number: int) -> Partner:
        account = self.sandbox.account(country="DE", currency="eur")
        listed = self.sandbox.client().v1.accounts.retrieve(account).external_accounts
        assert listed is not None
        return self.payer.partner(number, account=account, bank_account=listed.data[0].id)

    def ask_for(self, count: int) -> None:
        """Request `count` payouts of different amounts, over all partners in turn."""
        for number in range(count):
            amount = 1_000 + number
            partner = self.partners[number % len(self.partners)]
            self.requests[self.payer.request(partner, amount)] = amount

    def states(self) -> Counter[str]:
        with self.stack.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT status, COUNT(*) FROM payout_requests GROUP BY status"))
            return Counter({row[0]: row[1] for row in rows})

    def _ids(self, *statuses: str) -> list[int]:
        names = ", ".join(f"'{status}'" for status in statuses)
        with self.stack.engine.connect() as connection:
            return list(
                connection.scalars(sa.text(f"SELECT id FROM payout_requests WHERE status IN ({names})"))
            )

    def tidy_up(self, within_s: float) -> None:
        """Be the operator until every request is paid, or taken back: mend bank accounts, release what was
        never made, send again or take back what was returned."""
        deadline = time.monotonic() + within_s
        while self.states().keys() - {"paid", "reversed"}:
            assert time.monotonic() < deadline, f"still {self.states()}: {self._waits()}"
            self._mend_bank_accounts()
            for request_id in self._ids("unclear"):
                self._verb(mending.release if self._was_not_made(request_id) else mending.look, request_id)
            for request_id in self._ids("returned"):
                self._verb(mending.retry if request_id % 2 else mending.reverse, request_id)
            time.sleep(1)

    def _was_not_made(self, request_id: int) -> bool:
        """Whether Stripe has nothing of the leg that is unclear: what a person looks at before releasing."""
        entry = self.sandbox.books()["by_value"].get(f"pay_{request_id}")
        kind = self.payer.value(
            "SELECT MAX(g.kind) FROM legs g JOIN leg_attempts a ON a.leg_id = g.id "
            "WHERE g.request_id = :id AND a.status = 'open'",
            id=request_id,
        )
        if entry is None or kind == "reversal":
            return entry is None or not entry["reversals"]
        return kind == "payout" and not _live(entry)

    def _mend_bank_accounts(self) -> None:
        for partner in self.partners:
            if self.payer.value("SELECT state FROM partners WHERE id = :id", id=partner.id) == "restricted":
                self.sandbox.bank_status(partner.account, "verified")

    def _verb(self, verb: Callable[..., Any], request_id: int) -> None:
        now_ms = int(time.time() * 1000)
        try:
            in_transaction(
                self.stack.engine,
                lambda c: verb(c, request_id, SECOND_PERSON, "looked into", self.payer.make_id, now_ms),
            )
        except RefusedError:
            return  # another payout of the partner is being sent: at the next round

    def _waits(self) -> Any:
        left = self._ids("sending", "queued", "unclear", "returned", "reversing", "sent")[:3]
        queries = (
            "SELECT id, status, blocked, blocked_text FROM payout_requests WHERE id = :id",
            "SELECT kind, status, stripe_id, amount_minor FROM legs WHERE request_id = :id",
            "SELECT leg_id, status, sends, error_code, error FROM leg_attempts WHERE request_id = :id",
        )
        with self.stack.engine.connect() as connection:
            rows = [connection.execute(sa.text(q), {"id": i}).all() for i in left for q in queries]
        by_value = self.sandbox.books()["by_value"]
        return rows, [by_value.get(f"pay_{request_id}") for request_id in left]

    def judge(self) -> None:
        """By Stripe's own books: nobody was paid twice, nothing is lost, and the sums agree to the cent."""
        while self._moved_on():
            self.tidy_up(240)
        books = self.sandbox.books()
        assert books["sound"], "the sandbox's own books do not add up"
        entries = books["by_value"]
        seed = f"sandbox seed {books['seed']}"
        assert set(entries) - {""} <= {f"pay_{request_id}" for request_id in self.requests}, seed
        paid = {f"pay_{request_id}" for request_id in self._ids("paid")}
        for name, entry in entries.items():
            _judge_one(name, entry, name in paid, seed)
        assert paid <= entries.keys(), f"{seed}: paid here, and never made at Stripe"
        self._judge_sums(books, seed)

    def _moved_on(self) -> bool:
        """Let Stripe do what it still has to do; whether that brought something back that had been paid."""
        self.sandbox.settle(30)
        self.stack.wait_applied(120)  # a look-up whose worker died comes again after a minute
        return bool(self.states().keys() - {"paid", "reversed"})

    def _judge_sums(self, books: dict[str, Any], seed: str) -> None:
        at_stripe = at_bank = paid = 0
        for partner in self.partners:
            held = self.payer.balances(partner)
            account = books["accounts"][partner.account]["balance_minor"].get("eur", 0)
            assert held.get("at_stripe", 0) == account, f"{seed}: {partner.reference} at Stripe"
            assert held.get("in_transit", 0) == 0, f"{seed}: {partner.reference} in transit"
            at_stripe += account
            at_bank += held.get("at_bank", 0)
            paid += held.get("paid", 0)
        gone = 100_000_000 - books["accounts"][books["platform"]]["balance_minor"]["eur"]
        assert at_bank == paid == gone - at_stripe, seed
        owed = sum(self.payer.balances(partner).get("owed", 0) for partner in self.partners)
        assert paid + owed == sum(self.requests.values()), f"{seed}: every cent is paid, or owed"


def _judge_one(name: str, entry: dict[str, Any], is_paid: bool, seed: str) -> None:
    unreversed = [t for t in entry["transfers"] if t["amount_reversed"] < t["amount"]]
    live = _live(entry)
    expected = 1 if is_paid else 0
    assert len(unreversed) == expected, f"{seed}: {name} has {len(unreversed)} transfers: {entry}"
    assert len(live) == expected, f"{seed}: {name} has {len(live)} live payouts: {entry}"


def _live(entry: dict[str, Any]) -> list[Any]:
    return [
        payout
        for payout in entry["payouts"]
        if payout["amount"] > 0
        and payout["status"] not in ("failed", "canceled")
        and not payout["reversed_by"]
    ]


def make_endpoints(sandbox: Sandbox, url: str) -> dict[str, str]:
    """The platform's endpoint and the Connect one, both at `url`; the settings that hold their secrets."""
    endpoints = sandbox.client().v1.webhook_endpoints
    secrets = [
        endpoints.create({"url": url, "enabled_events": ["*"], "connect": connect}).secret or ""
        for connect in (False, True)
    ]
    return {"STRIPE_WEBHOOK_SECRET": secrets[0], "STRIPE_CONNECT_WEBHOOK_SECRET": secrets[1]}


def wait_at_rest(payments: Payments, within_s: float) -> None:
    """Wait until nothing is on its way any more."""
    wait_until(
        "all requests come to rest",
        lambda: not payments.states().keys() - set(RESTING),
        within_s,
        every_s=0.2,
    )
