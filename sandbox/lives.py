"""A payout's life: pending, in transit, paid; or failed, canceled, returned, reversed. Money follows it."""

from typing import Any

from sandbox import balances, objects
from sandbox.bank_accounts import ERRORED, set_status
from sandbox.changes import copy, previous
from sandbox.fates import Fate, of_payout
from sandbox.settings import DAY_S
from sandbox.shared import Cause, Json
from sandbox.world import World

STEP = "payout.step"
OPEN = ("pending", "in_transit")
FAILURES = {
    "account_closed": "The bank account has been closed.",
    "account_frozen": "The bank account has been frozen.",
    "bank_account_restricted": "The bank account allows no payouts of this kind or this many.",
    "bank_ownership_changed": "The bank account belongs to somebody else by now.",
    "could_not_process": "The bank could not process the payout.",
    "debit_not_authorized": "Debits are not approved on the bank account.",
    "declined": "The bank declined the payout.",
    "insufficient_funds": "The balance has too little money for the payout.",
    "invalid_account_number": "The bank account has the details of no account that can be paid.",
    "invalid_currency": "The bank can't process the payout's currency.",
    "no_account": "The bank account could not be found.",
}


def begin(
    world: World,
    account: str,
    bank_id: str,
    amount_minor: int,
    currency: str,
    fields: Json,
    *,
    automatic: bool = False,
    original: Json | None = None,
    cause: Cause | None = None,
) -> Json:
    """Make a payout, take its amount from the balance, and plan what will become of it. A reversal's amount
    is negative: what it brings is pending until it is paid."""
    settings, now_s = world.settings, world.now()
    number = world.count("po", account)
    id_ = world.names.id("po", account, number)
    arrival_s = now_s + int(settings.paid_after_s)
    kept_back = arrival_s + 1 if original else None
    taken = balances.move(world, account, currency, -amount_minor, "payout", id_, available_on=kept_back)
    made = objects.payout(
        id_,
        now_s,
        **{
            "amount": amount_minor,
            "arrival_date": arrival_s - arrival_s % int(DAY_S),
            "automatic": automatic,
            "balance_transaction": taken["id"],
            "currency": currency,
            "description": None,
            "destination": bank_id,
            "metadata": {},
            "method": "standard",
            "original_payout": original["id"] if original else None,
            "reconciliation_status": "in_progress" if automatic else "not_applicable",
            "source_type": "card",
            "statement_descriptor": None,
            **fields,
        },
    )
    world.payouts.add(account, made)
    world.emit(account, "payout.created", made, cause=cause)
    world.timers.after(settings.in_transit_after_s, STEP, id_, "in_transit", None)
    fate = _fate(world, bank_id, account, number) if original is None else Fate("paid")
    world.timers.after(settings.paid_after_s, STEP, id_, fate.end, fate.failure_code)
    if fate.later:
        world.timers.after(
            settings.paid_after_s + settings.late_after_s, STEP, id_, fate.later, fate.failure_code
        )
    return made


def _fate(world: World, bank_id: str, account: str, number: int) -> Fate:
    known = world.hidden.get(bank_id, {}).get("fails_with")
    return Fate("failed", known) if known else of_payout(world.faults, world.names, account, number)


def step(world: World, payout_id: str, to: str, failure_code: str | None) -> None:
    """What a timer planned; nothing where the payout went another way meanwhile."""
    payout = world.payouts.any(payout_id)
    if payout is None:
        return
    is_open, is_settled = payout["status"] in OPEN, payout["status"] == "paid" and not payout["reversed_by"]
    if to == "in_transit" and payout["status"] == "pending":
        _change(world, payout, "payout.updated", status="in_transit")
    elif to == "paid" and is_open:
        pay(world, payout)
    elif (to == "failed" and is_open) or (to == "returned" and is_settled):
        fail(world, payout, failure_code or "could_not_process")
    elif to == "reversed" and is_settled:
        reverse(world, payout, {}, None)


def pay(world: World, payout: Json) -> None:
    trace = {"status": "supported", "value": world.names.id("trace", payout["id"])[6:18].upper()}
    movement = world.movements.any(payout["balance_transaction"])
    if payout["original_payout"] and movement is not None:
        balances.release(world, movement)
    _change(world, payout, "payout.paid", status="paid", trace_id=trace)
    if payout["original_payout"]:
        balances.tell(world, world.payouts.owner(payout["id"]))
    if payout["automatic"]:
        _change(world, payout, "payout.reconciliation_completed", reconciliation_status="completed")


def fail(world: World, payout: Json, failure_code: str) -> None:
    """Also after it was paid, which is a bank's return. The amount goes back where it came from, and the bank
    account takes no payouts until somebody updates or replaces it."""
    reason = FAILURES.get(failure_code, "The payout failed.")
    back = _give_back(world, payout, "payout_failure")
    _change(
        world,
        payout,
        "payout.failed",
        status="failed",
        failure_code=failure_code,
        failure_message=reason,
        failure_balance_transaction=back["id"],
    )
    bank = world.bank_accounts.any(payout["destination"])
    if bank is not None and bank["status"] != ERRORED:
        set_status(world, bank, ERRORED)


def cancel(world: World, payout: Json, cause: Cause | None = None) -> None:
    back = _give_back(world, payout, "payout_cancel")
    _change(
        world, payout, "payout.canceled", cause, status="canceled", failure_balance_transaction=back["id"]
    )


def reverse(world: World, payout: Json, metadata: dict[str, str], cause: Cause | None) -> Json:
    account = world.payouts.owner(payout["id"])
    made = begin(
        world,
        account,
        payout["destination"],
        -payout["amount"],
        payout["currency"],
        {"metadata": metadata, "method": payout["method"]},
        original=payout,
        cause=cause,
    )
    _change(world, payout, "payout.updated", cause, reversed_by=made["id"])
    return made


def _give_back(world: World, payout: Json, kind: str) -> Json:
    """A movement against the payout's own; what was still pending of that one is settled first."""
    taken = world.movements.any(payout["balance_transaction"])
    if taken is not None:
        balances.release(world, taken)
    account = world.payouts.owner(payout["id"])
    return balances.move(world, account, payout["currency"], payout["amount"], kind, payout["id"])


def _change(world: World, payout: Json, event: str, cause: Cause | None = None, /, **fields: Any) -> None:
    before = copy(payout)
    payout |= fields
    world.payouts.changed(payout)
    differs = previous(before, payout) if event == "payout.updated" else None
    world.emit(world.payouts.owner(payout["id"]), event, payout, differs, cause)
