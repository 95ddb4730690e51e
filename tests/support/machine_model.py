"""A Stripe that lives on: it moves payouts, tells of everything in events, forgets old keys, and can be the
moment at which the caller dies."""

import json
from copy import deepcopy
from typing import Any

from payouts.calls import Answer, Call, FrozenCall, Refused
from payouts.errors import GatewayError
from tests.support.money import Clock
from tests.support.small_stripe import SmallStripe

KEY_KEPT_MS = 24 * 3600 * 1000
"""A key that is older is a new request to Stripe."""
REFUSED = "refused"
"""A fault besides those of SmallStripe: Stripe says no for good, and keeps the answer under the key."""
OVER = ("failed", "canceled")
NEXT = {
    "pending": ("in_transit", "failed", "canceled"),
    "in_transit": ("paid", "failed"),
    "paid": ("failed", "reversed"),
}


class Crash(BaseException):
    """The process ends here: nothing below may catch it."""


class LivingStripe(SmallStripe):
    """`events`: the bodies of all events so far, in the order in which things happened."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.events: list[bytes] = []
        self.crash: str | None = None
        """`before` or `after`: where in the next call the caller dies."""
        self.looks_lost = 0
        """So many look-ups get no answer."""
        self.taken_back: set[str] = set()
        """Payouts whose reversal was paid, whatever became of that later."""
        self._since_ms: dict[str, int] = {}
        self._calling: FrozenCall | None = None

    def send(self, call: FrozenCall) -> Answer:
        crash, self.crash = self.crash, None
        if crash == "before":
            raise Crash
        self.now_s = self.clock() // 1000
        if self.clock() - self._since_ms.setdefault(call.idempotency_key, self.clock()) >= KEY_KEPT_MS:
            self._kept.pop(call.idempotency_key, None)
        self._calling = call
        answer = super().send(call)
        self._calling = None
        if crash == "after":
            raise Crash
        return answer

    def balance_minor(self, account: str) -> int:
        """What lies in the balance of a connected account. Nothing is sent that is not there, so it is less
        than nothing only where a reversal failed whose money had moved on."""
        came = sum(
            transfer["amount"] - transfer["amount_reversed"]
            for transfer in self.transfers.values()
            if transfer["destination"] == account
        )
        return int(came) - self.out_minor(account)

    def out_minor(self, account: str) -> int:
        """What left an account for its bank and did not come back."""
        return sum(
            int(payout["amount"])
            for payout in self.payouts.values()
            if payout["account"] == account and counts(payout)
        )

    def move(self, payout_id: str, road: int) -> None:
        """Move a payout on, as its bank or Stripe itself does. `road` 0 is the usual one, others are not."""
        payout = self.payouts[payout_id]
        roads = self._roads(payout)
        if not roads or (payout["status"] == "paid" and road == 0):
            return  # there it stays
        to = roads[road % len(roads)]
        if to == "reversed":
            self._reverse(payout)
            return
        payout["status"] = to
        if to == "paid" and payout["amount"] < 0:
            self.taken_back.add(payout["original_payout"])
        if to == "failed":
            payout["failure_code"] = "could_not_process"
        self._tell(f"payout.{'updated' if to == 'in_transit' else to}", payout, payout["account"])

    def _roads(self, payout: dict[str, Any]) -> tuple[str, ...]:
        if payout["status"] == "paid" and payout["amount"] < 0:
            return ("failed",)
        if payout["status"] == "paid" and payout.get("reversed_by"):
            return ()
        return NEXT.get(payout["status"], ())

    def find_payout(self, account: str, leg_id: int, since_s: int, until_s: int) -> bytes | None:
        self._look()
        for made in self.payouts.values():
            mine = made["account"] == account and made["metadata"].get("payout_leg") == str(leg_id)
            if mine and since_s <= made["created"] <= until_s:
                return json.dumps(made).encode()
        return None

    def find_transfer(self, group: str, leg_id: int) -> bytes | None:
        self._look()
        return super().find_transfer(group, leg_id)

    def find_reversal(self, transfer_id: str, leg_id: int) -> bytes | None:
        self._look()
        return super().find_reversal(transfer_id, leg_id)

    def has_leg(self, leg_id: int) -> bool:
        """Whether anything was made for a leg: what a person sees who looks it up by hand."""
        books = (self.transfers, self.payouts, self.reversals)
        return any(
            made["metadata"].get("payout_leg") == str(leg_id) for book in books for made in book.values()
        )

    def _look(self) -> None:
        if self.looks_lost:
            self.looks_lost -= 1
            raise GatewayError("connection reset", transient=True)

    def _run(self, call: FrozenCall, fault: str) -> Answer:
        if fault == REFUSED:
            return Refused("parameter_invalid", "Stripe said no", 400)
        account = self._payer_of(call)
        if account and call.params["amount"] > self.balance_minor(account):
            return Refused("balance_insufficient", "the account has less than that", 400)
        return super()._run(call, fault)

    def _payer_of(self, call: FrozenCall) -> str | None:
        if call.call == Call.REVERSAL:
            return str(self.transfers[call.target or ""]["destination"])
        return call.stripe_account

    def _make(self, call: FrozenCall) -> dict[str, Any]:
        made = super()._make(call)
        if call.call == Call.TRANSFER:
            self._tell("transfer.created", made, None)
        elif call.call == Call.PAYOUT:
            self._tell("payout.created", made, made["account"])
        else:
            transfer = self.transfers[made["transfer"]]
            transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
            self._tell("transfer.reversed", transfer, None)
        return made

    def _reverse(self, payout: dict[str, Any]) -> None:
        back_id = f"po_{len(self.payouts) + 1}"
        payout["reversed_by"] = back_id
        back = {
            **{name: payout[name] for name in ("object", "currency", "account")},
            "id": back_id,
            "amount": -payout["amount"],
            "created": self.clock() // 1000,
            "status": "pending",
            "original_payout": payout["id"],
            "metadata": {},
        }
        self.payouts[back_id] = back
        self._tell("payout.updated", payout, payout["account"])
        self._tell("payout.created", back, back["account"])

    def _tell(self, kind: str, seen: dict[str, Any], account: str | None) -> None:
        key = self._calling.idempotency_key if self._calling else None
        event: dict[str, Any] = {
            "id": f"evt_{len(self.events) + 1}",
            "object": "event",
            "created": self.clock() // 1000,
            "data": {"object": deepcopy(seen)},
            "livemode": False,
            "request": {"id": None, "idempotency_key": key},
            "type": kind,
        }
        if account:
            event["account"] = account
        self.events.append(json.dumps(event).encode())


def counts(payout: dict[str, Any]) -> bool:
    """Whether its amount is away from the account's balance. A reversal brings it back when it is paid."""
    if payout["amount"] < 0:
        return bool(payout["status"] == "paid")
    return payout["status"] not in OVER


def is_live(payout: dict[str, Any], payouts: dict[str, dict[str, Any]]) -> bool:
    """Whether a payout is on its way to the partner, or there for all that is known."""
    if payout["amount"] < 0 or payout["status"] in OVER:
        return False
    back = payouts.get(payout.get("reversed_by") or "")
    return back is None or back["status"] != "paid"
