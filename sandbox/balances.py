"""Money held: every change of a balance is a balance transaction, and their sum is the balance."""

from sandbox import objects
from sandbox.calls import Call
from sandbox.errors import bad_parameter, refused
from sandbox.lists import page
from sandbox.shared import Cause, Json
from sandbox.world import World

AVAILABLE, PENDING = 0, 1
_CATEGORY = {
    "payment": "charge",
    "payment_refund": "refund",
    "transfer_refund": "transfer_reversal",
    "payout_failure": "payout_reversal",
    "payout_cancel": "payout_reversal",
}
BECOMES_AVAILABLE = "balance.release"


def move(
    world: World,
    account: str,
    currency: str,
    amount_minor: int,
    kind: str,
    source: str,
    *,
    available_on: int | None = None,
) -> Json:
    """Add to a balance, or take from it: to the pending one where `available_on` lies ahead."""
    pending = available_on is not None and available_on > world.now()
    made = objects.balance_transaction(
        world.names.id("txn", account, source, kind),
        world.now(),
        amount=amount_minor,
        available_on=available_on if pending else world.now(),
        currency=currency,
        description=None,
        reporting_category=_CATEGORY.get(kind, kind),
        source=source,
        status="pending" if pending else "available",
        type=kind,
    )
    _purse(world, account, currency)[PENDING if pending else AVAILABLE] += amount_minor
    _purse_changed(world, account, currency)
    return world.movements.add(account, made)


def release(world: World, movement: Json) -> None:
    """What was pending is available from now on."""
    if movement["status"] == "available":
        return
    account, currency = world.movements.owner(movement["id"]), movement["currency"]
    purse = _purse(world, account, currency)
    purse[PENDING] -= movement["amount"]
    purse[AVAILABLE] += movement["amount"]
    movement |= {"status": "available", "available_on": world.now()}
    world.movements.changed(movement)
    _purse_changed(world, account, currency)


def release_later(world: World, movement: Json, wait_s: float) -> None:
    world.timers.after(wait_s, BECOMES_AVAILABLE, movement["id"])


def release_by_timer(world: World, movement_id: str) -> None:
    movement = world.movements.any(movement_id)
    if movement is not None:
        release(world, movement)
        tell(world, world.movements.owner(movement_id))


def tell(world: World, account: str, cause: Cause | None = None) -> None:
    """balance.available: there is more to take than before."""
    world.emit(account, "balance.available", shown(world, account), cause=cause)


def available(world: World, account: str, currency: str) -> int:
    return world.purses.get(account, {}).get(currency, (0, 0))[AVAILABLE]


def demand(world: World, account: str, currency: str, amount_minor: int, what: str) -> None:
    if available(world, account, currency) < amount_minor:
        raise refused("balance_insufficient", f"Insufficient available funds in {currency} for this {what}.")


def shown(world: World, account: str) -> Json:
    default = (world.accounts.any(account) or {}).get("default_currency", "usd")
    return objects.balance({default: [0, 0], **world.purses.get(account, {})}, account == world.platform)


def top_up(world: World, account: str, currency: str, amount_minor: int, pending_s: float = 0.0) -> Json:
    """Money from outside; `balance.available` comes when it can be used."""
    source = world.new_id("tu", account)
    due = world.now() + int(pending_s) if pending_s else None
    made = move(world, account, currency, amount_minor, "topup", source, available_on=due)
    if made["status"] == "pending":
        release_later(world, made, pending_s)
    else:
        tell(world, account)
    return made


def retrieve(call: Call) -> Json:
    call.params.finish()
    return shown(call.world, call.account)


def retrieve_transaction(call: Call) -> Json:
    call.params.finish()
    return call.named(call.world.movements, "balance transaction")


def list_transactions(call: Call) -> Json:
    params = call.params
    wanted = {name: params.text(name) for name in ("source", "type", "currency")}
    payout_id = params.text("payout")
    if payout_id is not None:
        payout = call.world.payouts.find(call.account, payout_id)
        if payout is None:
            raise bad_parameter("payout", f"No such payout: '{payout_id}'", "resource_missing")
        if not payout["automatic"]:
            raise bad_parameter(
                "payout", "Balance transaction history can only be filtered on automatic payouts, not manual."
            )
        wanted["source"] = payout_id

    def keep(movement: Json) -> bool:
        return all(value is None or movement[name] == value for name, value in wanted.items())

    return page(call, call.world.movements, "/v1/balance_transactions", keep)


def _purse(world: World, account: str, currency: str) -> list[int]:
    return world.purses.setdefault(account, {}).setdefault(currency, [0, 0])


def _purse_changed(world: World, account: str, currency: str) -> None:
    key = f"{account}|{currency}"
    world.changes.put("purse", key, account, world.purses[account][currency])
