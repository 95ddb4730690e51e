"""All money that moved, summed for a judge: what each metadata value led to, and whether each balance is the
sum of its balance transactions."""

from typing import Any

from sandbox import balances
from sandbox.shared import Json
from sandbox.world import World

UNLABELLED = ""
_TRANSFER = ("id", "destination", "amount", "amount_reversed", "currency", "created", "transfer_group")
_PAYOUT = (
    *("id", "amount", "currency", "status", "failure_code", "destination", "created"),
    *("original_payout", "reversed_by", "automatic"),
)


def books(world: World, key: str) -> Json:
    """By the value of the metadata `key`; objects without one are under the empty value."""
    by_value: dict[str, Json] = {}
    for transfer in world.transfers.all():
        entry = _entry(by_value, transfer, key)
        entry["transfers"].append({name: transfer[name] for name in _TRANSFER})
        entry["reversals"] += [
            {name: reversal[name] for name in ("id", "transfer", "amount", "currency", "created")}
            for reversal in world.reversals.of(transfer["id"])
        ]
        net_minor = transfer["amount"] - transfer["amount_reversed"]
        _add(entry["transferred_minor"], transfer["currency"], net_minor)
    for payout in world.payouts.all():
        # A reversal counts with what it reverses, also where the bank made it and it has no metadata.
        entry = _entry(by_value, world.payouts.any(payout["original_payout"] or "") or payout, key)
        account = world.payouts.owner(payout["id"])
        entry["payouts"].append({"account": account, **{name: payout[name] for name in _PAYOUT}})
        if payout["status"] not in ("failed", "canceled"):
            _add(entry["paid_out_minor"], payout["currency"], payout["amount"])
    accounts = _accounts(world)
    return {
        "seed": world.names.seed,
        "now": world.now(),
        "key": key,
        "platform": world.platform,
        "by_value": by_value,
        "accounts": accounts,
        "calls": world.calls,
        "sound": all(account["balance_minor"] == account["sum_minor"] for account in accounts.values()),
    }


def _entry(by_value: dict[str, Json], thing: Json, key: str) -> Json:
    empty: Json = {
        "transfers": [],
        "reversals": [],
        "payouts": [],
        "transferred_minor": {},
        "paid_out_minor": {},
    }
    return by_value.setdefault(thing["metadata"].get(key, UNLABELLED), empty)


def _add(sums: dict[str, int], currency: str, amount_minor: int) -> None:
    sums[currency] = sums.get(currency, 0) + amount_minor


def _accounts(world: World) -> dict[str, dict[str, Any]]:
    """By account and currency: available, pending, both together, and the sum of all movements."""
    found: dict[str, dict[str, Any]] = {}
    for account in world.accounts.all():
        purses = world.purses.get(account["id"], {})
        sums = dict.fromkeys(purses, 0)
        for movement in world.movements.of(account["id"]):
            _add(sums, movement["currency"], movement["net"])
        states: dict[str, int] = {}
        for payout in world.payouts.of(account["id"]):
            states[payout["status"]] = states.get(payout["status"], 0) + 1
        found[account["id"]] = {
            "available_minor": {name: purse[balances.AVAILABLE] for name, purse in purses.items()},
            "pending_minor": {name: purse[balances.PENDING] for name, purse in purses.items()},
            "balance_minor": {name: sum(purse) for name, purse in purses.items()},
            "sum_minor": sums,
            "payouts": states,
        }
    return found
