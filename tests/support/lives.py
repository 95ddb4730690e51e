"""Lives of payouts to deliver: made up by a seed, in the shape of Stripe's events.

The model here is the judge, so it is written on its own: it knows what each payout must end as from how
the life was made, not from the code under test.
"""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared" / "stripe"

ROADS: dict[str, list[tuple[str, str]]] = {
    "pending": [("created", "pending")],
    "in_transit": [("created", "pending"), ("updated", "in_transit")],
    "paid": [("created", "pending"), ("updated", "in_transit"), ("paid", "paid")],
    "failed": [("created", "pending"), ("updated", "in_transit"), ("failed", "failed")],
    "canceled": [("created", "pending"), ("canceled", "canceled")],
    "returned": [("created", "pending"), ("updated", "in_transit"), ("paid", "paid"), ("failed", "failed")],
    "reversed": [
        ("created", "pending"),
        ("updated", "in_transit"),
        ("paid", "paid"),
        ("updated", "reversed"),
    ],
    "reconciled": [("created", "pending"), ("paid", "paid"), ("reconciliation_completed", "paid")],
}
ENDS = {"returned": "failed", "reconciled": "paid"}


@dataclass
class Lives:
    """Deliveries in some order, and what each payout must end as (None: it must not exist)."""

    bodies: list[bytes] = field(default_factory=list)
    expected: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    @property
    def events(self) -> int:
        return len({json.loads(body)["id"] for body in self.bodies})


def event_body(
    event_id: str,
    kind: str,
    payout: dict[str, Any],
    *,
    account: str | None = "acct_1Made",
    livemode: bool = False,
) -> bytes:
    """One event as Stripe would deliver it; `kind`: `paid` for `payout.paid`."""
    event = {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "data": {"object": payout},
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind if "." in kind else f"payout.{kind}",
    }
    if account is not None:
        event["account"] = account
    return json.dumps(event).encode()


def payout_object(
    payout_id: str, status: str, amount: int = 12_345, currency: str = "eur", **more: Any
) -> dict[str, Any]:
    """A payout in the shape of Stripe's; `status` may be `reversed`."""
    return {
        "id": payout_id,
        "object": "payout",
        "amount": amount,
        "arrival_date": 1_790_100_000,
        "automatic": False,
        "balance_transaction": "txn_1Made",
        "created": 1_790_000_000,
        "currency": currency,
        "destination": "ba_1Made",
        "failure_balance_transaction": "txn_1Back" if status in ("failed", "canceled") else None,
        "failure_code": "account_closed" if status == "failed" else None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "not_applicable",
        "reversed_by": "po_1Back" if status == "reversed" else None,
        "status": "paid" if status == "reversed" else status,
        "trace_id": None,
        "type": "bank_account",
        **more,
    }


def make_lives(count: int, seed: int) -> Lives:
    """`count` payouts of all kinds with late, missing, repeated and doubled events, by `seed`."""
    rng = random.Random(seed)
    lives = Lives()
    for number in range(count):
        road = rng.choice(list(ROADS))
        payout_id, account = f"po_{seed}x{number:06d}", f"acct_{rng.randrange(12):03d}"
        amount, currency = rng.randrange(1, 10**7), rng.choice(["eur", "usd", "jpy"])
        steps = list(ROADS[road])
        if rng.random() < 0.2:
            steps = steps[-1:]  # only the last event ever came
        bodies = []
        for index, (kind, status) in enumerate(steps):
            payout = payout_object(payout_id, status, amount, currency)
            twins = 2 if rng.random() < 0.1 else 1
            for twin in range(twins):
                body = event_body(f"evt_{seed}x{number}x{index}x{twin}", kind, payout, account=account)
                bodies += [body] * (2 if rng.random() < 0.1 else 1)
        if rng.random() < 0.3:
            rng.shuffle(bodies)
        lives.bodies += bodies
        lives.expected[payout_id] = {
            "status": ENDS.get(road, road),
            "amount_minor": amount,
            "currency": currency,
            "account": account,
        }
        if rng.random() < 0.05:
            stray = payout_object(f"po_{seed}live{number}", "paid") | {"livemode": True}
            lives.bodies.append(event_body(f"evt_{seed}live{number}", "paid", stray, livemode=True))
            lives.expected[stray["id"]] = None
        if rng.random() < 0.05:
            other = {"id": f"ct_{number}", "object": "issuing.token"}
            lives.bodies.append(event_body(f"evt_{seed}other{number}", "issuing_token.created", other))
    return lives


def shared_lives() -> Lives | None:
    """The corpus of deliveries beside the checkout, where there is one."""
    corpus, expected = SHARED / "corpus" / "lives.jsonl", SHARED / "corpus" / "lives.expected.json"
    if not corpus.exists():
        return None
    return Lives(corpus.read_bytes().splitlines(), json.loads(expected.read_text()))
