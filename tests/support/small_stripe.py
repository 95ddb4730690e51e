"""A Stripe of a few lines inside the test's process: what sending needs, with keys kept as Stripe keeps them.

Faults are given call by call, in order: each says what happens to the next call that moves money.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from payouts.calls import Answer, Call, Doubt, FrozenCall, Made, Refused, Unknown
from payouts.errors import GatewayError
from payouts.event import PayoutObject, read_payout_object
from payouts.gateway import EventsQuery, ListedEvent, Page, Window
from payouts.transfer import TransferObject, read_transfer_object

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
        self.now_s = 1_790_000_000
        self.page_size = 100
        self.balances: dict[str | None, dict[str, int]] = {}
        """By account and currency; not set: whatever is asked for is empty."""
        self.events: dict[str | None, list[dict[str, Any]]] = {}
        """Events by account, in the order in which they happened."""
        self.untaken: set[str] = set()
        """Ids of events that an endpoint did not take."""
        self.reads: list[str] = []
        """What was read, in order: lists, single objects and balances."""
        self.broken: dict[str | None, GatewayError] = {}
        """Accounts that cannot be read, with what a read of each raises."""
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
        made = {"id": f"{prefix}_{len(book) + 1}", "created": self.now_s, **call.params}
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

    def payout_if_any(self, payout_id: str, account: str | None) -> PayoutObject | None:
        self._read(f"payout {payout_id}", account)
        made = self.payouts.get(payout_id)
        here = made is not None and made["account"] == account
        return read_payout_object(json.dumps(made).encode()) if here else None

    def transfer_if_any(self, transfer_id: str) -> TransferObject | None:
        self._read(f"transfer {transfer_id}", None)
        made = self.transfers.get(transfer_id)
        return None if made is None else read_transfer_object(json.dumps(made).encode())

    def payouts_page(self, account: str | None, window: Window, after: str | None) -> Page[PayoutObject]:
        self._read("payouts", account)
        mine = [made for made in self.payouts.values() if made["account"] == account]
        found, last = self._page(mine, window, after)
        return Page([read_payout_object(body) for body in found], last)

    def transfers_page(self, window: Window, after: str | None) -> Page[TransferObject]:
        self._read("transfers", None)
        found, last = self._page(list(self.transfers.values()), window, after)
        return Page([read_transfer_object(body) for body in found], last)

    def events_page(self, account: str | None, query: EventsQuery, after: str | None) -> Page[ListedEvent]:
        self._read("events", account)
        fitting = [
            event
            for event in self.events.get(account, [])
            if (query.types is None or event["type"] in query.types)
            and (not query.failed_only or event["id"] in self.untaken)
        ]
        found, last = self._page(fitting, query.window, after)
        listed = [(json.loads(body), body) for body in found]
        return Page([ListedEvent(e["id"], e["type"], e["created"], body) for e, body in listed], last)

    def balance(self, account: str | None) -> Mapping[str, int]:
        self._read("balance", account)
        return self.balances.get(account, {})

    def _read(self, what: str, account: str | None) -> None:
        self.reads.append(what)
        if account in self.broken:
            raise self.broken[account]

    def _page(
        self, made: list[dict[str, Any]], window: Window, after: str | None
    ) -> tuple[list[bytes], str | None]:
        newest_first = sorted(made, key=lambda each: each["created"])[::-1]
        fitting = [each for each in newest_first if window.since_s <= each["created"] <= window.until_s]
        ids = [each["id"] for each in fitting]
        start = ids.index(after) + 1 if after else 0
        page = fitting[start : start + self.page_size]
        more = len(fitting) > start + self.page_size
        return [json.dumps(each).encode() for each in page], page[-1]["id"] if more else None


def _named(book: dict[str, dict[str, Any]], leg_id: int) -> bytes | None:
    for made in book.values():
        if made["metadata"]["payout_leg"] == str(leg_id):
            return json.dumps(made).encode()
    return None
