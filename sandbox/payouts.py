"""Payouts: money from a balance to a bank account. What happens to one afterwards is in `lives`."""

from datetime import UTC, datetime

from sandbox import balances, lives
from sandbox.bank_accounts import UNUSABLE, default_for
from sandbox.calls import Call
from sandbox.changes import copy, previous
from sandbox.errors import missing_parameter, refused
from sandbox.lists import page, within
from sandbox.money import check_amount, read_currency
from sandbox.shared import Json
from sandbox.world import World

MAX_DESCRIPTOR = 22
REVERSIBLE_S = 90 * 86_400
INSTANT = "instant"
STATUSES = ("pending", "in_transit", "paid", "failed", "canceled")


def create(call: Call) -> Json:
    world, params = call.world, call.params
    currency = read_currency(params)
    amount_minor = check_amount(params.required_integer("amount"), currency, is_payout=True)
    destination = params.text("destination")
    method = params.one_of("method", "standard", INSTANT) or "standard"
    fields = {
        "description": params.text("description"),
        "metadata": params.metadata() or {},
        "method": method,
        "payout_method": params.text("payout_method"),
        "source_type": params.one_of("source_type", "bank_account", "card", "fpx") or "card",
        "statement_descriptor": params.text("statement_descriptor", MAX_DESCRIPTOR),
    }
    params.finish()
    if destination is not None and world.bank_accounts.find(call.account, destination) is None:
        raise missing_parameter("external account", destination, "destination")
    bank = usable_bank(world, call.account, currency, destination)
    if method == INSTANT and INSTANT not in bank["available_payout_methods"]:
        raise refused(
            "instant_payouts_unsupported", "This bank account can't take instant payouts.", "method"
        )
    balances.demand(world, call.account, currency, amount_minor, "payout")
    return lives.begin(world, call.account, bank["id"], amount_minor, currency, fields, cause=call.cause)


def usable_bank(world: World, account_id: str, currency: str, destination: str | None) -> Json:
    """Where a payout may go; 400 `payouts_not_allowed` where there is no such place."""
    account = world.accounts.any(account_id) or {}
    if not account.get("payouts_enabled"):
        raise refused("payouts_not_allowed", "Payouts are not enabled for this account.")
    if destination is not None:
        bank = world.bank_accounts.find(account_id, destination)
    else:
        bank = default_for(world, account_id, currency)
    if bank is None:
        raise refused(
            "payouts_not_allowed", f"This account has no external account in {currency}.", "currency"
        )
    if bank["currency"] != currency:
        raise refused(None, f"The external account takes {bank['currency']}, not {currency}.", "currency")
    if bank["status"] in UNUSABLE:
        raise refused(
            "payouts_not_allowed",
            f"The external account '{bank['id']}' is {bank['status']}: it must be updated or replaced first.",
            "destination",
        )
    return bank


def retrieve(call: Call) -> Json:
    call.params.finish()
    return call.named(call.world.payouts, "payout")


def list_all(call: Call) -> Json:
    params = call.params
    status, destination = params.one_of("status", *STATUSES), params.text("destination")
    arrival = params.range("arrival_date")

    def keep(payout: Json) -> bool:
        return (
            (status is None or payout["status"] == status)
            and (destination is None or payout["destination"] == destination)
            and within(payout["arrival_date"], arrival)
        )

    return page(call, call.world.payouts, "/v1/payouts", keep)


def update(call: Call) -> Json:
    payout = call.named(call.world.payouts, "payout")
    before = copy(payout)
    metadata = call.params.metadata(payout["metadata"])
    call.params.finish()
    if metadata is not None:
        payout["metadata"] = metadata
    call.world.payouts.changed(payout)
    differs = previous(before, payout)
    if differs:
        call.world.emit(call.account, "payout.updated", payout, differs, call.cause)
    return payout


def cancel(call: Call) -> Json:
    """Only while it is pending, and never an automatic one."""
    payout = call.named(call.world.payouts, "payout")
    call.params.finish()
    if payout["automatic"]:
        raise refused("payout_not_cancelable", "Automatic payouts can't be canceled.")
    if payout["status"] != "pending":
        raise refused("payout_not_cancelable", f"This payout is {payout['status']}: it can't be canceled.")
    lives.cancel(call.world, payout, call.cause)
    return payout


def reverse(call: Call) -> Json:
    """A new payout, which brings back the amount of one that is paid: to US bank accounts, within 90 days.
    The answer is the new one."""
    payout = call.named(call.world.payouts, "payout")
    metadata = call.params.metadata() or {}
    call.params.finish()
    bank = call.world.bank_accounts.any(payout["destination"]) or {}
    why_not = _why_not_reversible(payout, bank, call.world.now())
    if why_not:
        raise refused(None, f"This payout can't be reversed: {why_not}.")
    return lives.reverse(call.world, payout, metadata, call.cause)


def _why_not_reversible(payout: Json, bank: Json, now_s: int) -> str | None:
    if payout["status"] != "paid":
        return f"it is {payout['status']}, not paid"
    if payout["original_payout"] or payout["reversed_by"]:
        return "it is a reversal or was reversed already"
    if bank.get("country") != "US":
        return "its bank account is not in the US"
    if now_s - payout["created"] > REVERSIBLE_S:
        return f"it was made before {datetime.fromtimestamp(now_s - REVERSIBLE_S, UTC):%Y-%m-%d}"
    return None
