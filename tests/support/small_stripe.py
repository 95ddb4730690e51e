"""A Stripe of a few lines inside the test's process: what sending needs, with keys kept as Stripe keeps them.

Faults are given call by call, in order: each says what happens to the next call that moves money.
"""

import json
import threading
from collections.abc import Iterable
from typing import Any

from payouts.calls import Answer, Call, Doubt, FrozenCall, Made, Refused, Unknown
from payouts.errors import GatewayError
from payouts.event import PayoutObject, read_payout_object

FAULTS = (
    "lost before",  # the connection breaks, nothing was done
    "lost after",  # it breaks, and the work was done
    "500 before",  # kept under the key, nothing was done
    "500 after",  # kept under the key, the work was done
    "limited",
    "in use",
    "no money",  # balance_insufficient, kept under the key
)


class SmallStripe:
    """A gateway. `transfers`, `payouts` and `reversals` are what exists at Stripe, by id."""

    def __init__(self, faults: Iterable[str] = ()) -> None:
        self.faults = list(faults)
        self.transfers: dict[str, dict[str, Any]] = {}
        self.payouts: dict[str, dict[str, Any]] = {}
        self.reversals: dict[str, dict[str, Any]] = {}
        self.calls: list[FrozenCall] = []
        self.refuse: dict[str, str] = {}
        """Error codes by call: every such call is refused with it."""
        self._kept: dict[str, tuple[FrozenCall, Answer]] = {}
        self._guard = threading.Lock()

    def send(self, call: FrozenCall) -> Answer:
        with self._guard:
            self.calls.append(call)
            fault = self.faults.pop(0) if self.faults else ""
            if fault == "limited":
                return Unknown(Doubt.LIMITED, "too many requests", 429)
            if fault == "in use":
                return Unknown(Doubt.IN_USE, "the key is in use", 409)
            if fault == "lost before":
                return Unknown(Doubt.NO_ANSWER, "connection reset")
            if call.idempotency_key in self._kept:
                return self._again(call)
            answer = self._run(call, fault)
            self._kept[call.idempotency_key] = (call, answer)
            return Unknown(Doubt.NO_ANSWER, "time-out") if fault == "lost after" else answer

    def _again(self, call: FrozenCall) -> Answer:
        before, answer = self._kept[call.idempotency_key]
        if before != call:
            return Refused("idempotency_error", "same key, other parameters", 400)
        if isinstance(answer, Unknown):
            return Unknown(Doubt.REPEATED_ERROR, answer.text, answer.http_status)
        return answer

    def _run(self, call: FrozenCall, fault: str) -> Answer:
        error = Unknown(Doubt.SERVER_ERROR, "an error on our side", 500)
        if fault == "500 before":
            return error
        code = "balance_insufficient" if fault == "no money" else self.refuse.get(call.call)
        if code:
            return Refused(code, f"Stripe said {code}", 400)
        made = self._make(call)
        return error if fault == "500 after" else Made(json.dumps(made).encode())

    def _make(self, call: FrozenCall) -> dict[str, Any]:
        book, prefix = {
            Call.TRANSFER: (self.transfers, "tr"),
            Call.PAYOUT: (self.payouts, "po"),
            Call.REVERSAL: (self.reversals, "trr"),
        }[call.call]
        made = {"id": f"{prefix}_{len(book) + 1}", **call.params}
        if call.call == Call.PAYOUT:
            made |= {"object": "payout", "status": "pending", "account": call.stripe_account}
        elif call.call == Call.TRANSFER:
            made |= {"object": "transfer", "amount_reversed": 0}
        else:
            made |= {"object": "transfer_reversal", "transfer": call.target, "currency": "eur"}
            self.transfers[call.target or ""]["amount_reversed"] += made["amount"]
        book[made["id"]] = made
        return made

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        if payout_id not in self.payouts:
            raise GatewayError(f"no such payout: {payout_id}", transient=False)
        return read_payout_object(json.dumps(self.payouts[payout_id]).encode())

    def account(self, account_id: str) -> bytes:
        return json.dumps({"id": account_id, "object": "account"}).encode()

    def find_transfer(self, group: str, leg_id: int) -> bytes | None:
        return _named(self.transfers, leg_id)

    def find_payout(self, account: str, leg_id: int, since_s: int, until_s: int) -> bytes | None:
        return _named(self.payouts, leg_id)

    def find_reversal(self, transfer_id: str, leg_id: int) -> bytes | None:
        return _named(self.reversals, leg_id)


def _named(book: dict[str, dict[str, Any]], leg_id: int) -> bytes | None:
    for made in book.values():
        if made["metadata"]["payout_leg"] == str(leg_id):
            return json.dumps(made).encode()
    return None
