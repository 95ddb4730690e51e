"""All that the sandbox knows, and how a change of it becomes an event."""

from collections.abc import Callable
from typing import Any

import msgspec

from sandbox import objects
from sandbox.clock import Clock
from sandbox.faults import Faults
from sandbox.names import Names
from sandbox.settings import API_VERSION, Settings
from sandbox.shared import NOBODY, Cause, Json
from sandbox.shelf import Shelf
from sandbox.store import Changes, Store
from sandbox.timers import KIND as TIMER
from sandbox.timers import Timers

OnEvent = Callable[[str, Json], None]
"""Called with the account and each event of it."""


class OtherSeedError(ValueError):
    """The file was made with another seed: its ids would not go with those made from now on."""

    def __init__(self, kept: int, given: int) -> None:
        super().__init__(f"the file was made with --seed {kept}, not {given}")


class World:
    """Only the event loop's thread may touch it: nothing here is locked.

    `platform` is the id of the platform's own account. What the API does not show of an object (an endpoint's
    secret, what an account was forced to be) is in `hidden`, by its id.
    """

    def __init__(self, seed: int, settings: Settings, clock: Clock, store: Store | None = None) -> None:
        self.names = Names(seed)
        self.settings = settings
        self.faults = Faults()
        self.clock = clock
        self.changes = changes = Changes(store)
        self.timers = Timers(clock, changes)
        self.accounts = Shelf("account", changes)
        self.bank_accounts = Shelf("bank_account", changes)
        self.movements = Shelf("balance_transaction", changes)
        self.transfers = Shelf("transfer", changes)
        self.reversals = Shelf("transfer_reversal", changes)
        self.payouts = Shelf("payout", changes)
        self.events = Shelf("event", changes)
        self.endpoints = Shelf("webhook_endpoint", changes)
        self.hidden: dict[str, Json] = {}
        self.purses: dict[str, dict[str, list[int]]] = {}
        """By account and currency: available and pending, in minor units."""
        self.calls: dict[str, int] = {}
        """How many calls had which answer: `POST /v1/payouts 200`, or `cut` or `replayed` instead of the
        status."""
        self.on_event: list[OnEvent] = []
        self._counters: dict[str, int] = {}
        self.platform = self.names.id("acct", "platform")
        if store is not None:
            self._restore(store)
        if self.accounts.any(self.platform) is None:
            self._make_platform()

    def now(self) -> int:
        return int(self.clock.now())

    def count(self, *parts: str) -> int:
        """1 for the first time with these parts, 2 for the second one, and so on."""
        key = "|".join(parts)
        number = self._counters[key] = self._counters.get(key, 0) + 1
        self.changes.put("counter", key, "", number)
        return number

    def new_id(self, prefix: str, scope: str) -> str:
        """The next id of its kind within a scope, which is an account or another object's id."""
        return self.names.id(prefix, scope, self.count(prefix, scope))

    def hide(self, id_: str, **facts: Any) -> None:
        self.hidden[id_] = {**self.hidden.get(id_, {}), **facts}
        self.changes.put("hidden", id_, "", self.hidden[id_])

    def forget(self, id_: str) -> None:
        if self.hidden.pop(id_, None) is not None:
            self.changes.remove("hidden", id_)

    def emit(
        self, account: str, kind: str, thing: Json, previous: Json | None = None, cause: Cause | None = None
    ) -> Json:
        """Make an event of an object as it is now. `previous`: what changed, as it was."""
        data: Json = {"object": msgspec.Raw(msgspec.json.encode(thing))}
        if previous is not None:
            data["previous_attributes"] = previous
        event: Json = {
            "id": self.new_id("evt", str(thing.get("id") or account)),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": cause.to_json() if cause else NOBODY,
            "type": kind,
        }
        if account != self.platform:
            event["account"] = account
        self._record(account, event)
        if self.names.hits(self.faults.event_twin, "event_twin", event["id"]):
            self._record(
                account, {**event, "id": self.names.id("evt", "twin", event["id"]), "pending_webhooks": 0}
            )
        return event

    def _record(self, account: str, event: Json) -> None:
        self.events.add(account, event)
        for hear in self.on_event:
            hear(account, event)

    def save_clock(self) -> None:
        self.changes.put("clock", "", "", self.clock.to_json())

    def _make_platform(self) -> None:
        made = objects.account(self.platform, self.now(), "standard", "US", "usd", "platform@example.com")
        made |= {"charges_enabled": True, "payouts_enabled": True, "details_submitted": True}
        # Of no owner: a platform's list of accounts holds the connected ones.
        self.accounts.add("", made)
        self.hide(self.platform, capabilities={}, forced={})

    def _restore(self, store: Store) -> None:
        for _, _, seed in store.read("seed"):
            if seed != self.names.seed:
                raise OtherSeedError(seed, self.names.seed)
        self.changes.put("seed", "", "", self.names.seed)
        for _, _, kept in store.read("clock"):
            self.clock.restore(kept)
        for shelf in (
            *(self.accounts, self.bank_accounts, self.movements, self.transfers, self.reversals),
            *(self.payouts, self.events, self.endpoints),
        ):
            for _, owner, thing in store.read(shelf.kind):
                shelf.restore(owner, thing)
        for key, _, facts in store.read("hidden"):
            self.hidden[key] = facts
        for key, _, number in store.read("counter"):
            self._counters[key] = number
        for key, owner, purse in store.read("purse"):
            self.purses.setdefault(owner, {})[key.rpartition("|")[2]] = purse
        for _, _, timer in store.read(TIMER):
            self.timers.restore(timer)
        self.save_clock()
