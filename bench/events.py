"""Events to measure with: signed, of Stripe's size (1 to 3 KB), three to a payout, none of them twice."""

import hashlib
import hmac
import itertools
import json
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from payouts.clock import now_ms
from payouts.event import read_envelope
from payouts.ids import IdMaker
from payouts.storage.inbox import WEBHOOK, NewEvent

SECRET = "whsec_bench_only"
PATH = "/api/webhooks/stripe"
STEPS = (("payout.created", "pending"), ("payout.updated", "in_transit"), ("payout.paid", "paid"))
_rng = random.Random(1)


def bodies(count: int) -> Iterator[bytes]:
    """`count` event bodies; the three events of a payout come one behind the other."""
    run = secrets.token_hex(4)
    for number in range(count):
        payout, step = divmod(number, len(STEPS))
        if step == 0:
            notes = {f"note_{i}": "x" * 40 for i in range(_rng.randrange(0, 32))}
            account, amount = f"acct_{payout % 200:016d}", _rng.randrange(1, 10**7)
        kind, status = STEPS[step]
        event = {
            "id": f"evt_{run}{number:016d}",
            "object": "event",
            "account": account,
            "api_version": "2026-10-28.endive",
            "created": 1_790_000_000,
            "data": {
                "object": {
                    "id": f"po_{run}{payout:016d}",
                    "object": "payout",
                    "amount": amount,
                    "arrival_date": 1_790_100_000,
                    "automatic": False,
                    "balance_transaction": "txn_1Bench",
                    "created": 1_790_000_000,
                    "currency": "eur",
                    "description": "STRIPE PAYOUT",
                    "destination": "ba_1Bench",
                    "failure_code": None,
                    "livemode": False,
                    "metadata": notes,
                    "method": "standard",
                    "reconciliation_status": "not_applicable",
                    "reversed_by": None,
                    "source_type": "card",
                    "status": status,
                    "trace_id": {"status": "pending", "value": None},
                    "type": "bank_account",
                }
            },
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        yield json.dumps(event, indent=2).encode()


def sign(body: bytes) -> str:
    stamp = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def write_requests(path: Path, count: int) -> float:
    """Write `count` whole HTTP requests for wrk; returns the mean size of a body."""
    size = 0
    with path.open("wb") as file:
        for body in bodies(count):
            size += len(body)
            head = (
                f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Stripe-Signature: {sign(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            request = head.encode() + body
            file.write(b"%08d" % len(request) + request)
    return size / count


def new_events(count: int) -> Iterator[list[NewEvent]]:
    """The same events as the receiver would store them, in groups."""
    make_id = IdMaker()
    made = (NewEvent(make_id(), read_envelope(b), WEBHOOK, "bench", now_ms(), b) for b in bodies(count))
    while group := list(itertools.islice(made, 100)):
        yield group
