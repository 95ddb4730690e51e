"""What an account may do, worked out from what it gave and from what it was forced to be; and the events that
tell of a change."""

from sandbox import objects
from sandbox.changes import copy, previous
from sandbox.shared import Cause, Json
from sandbox.world import World

MAX_SHOWN = 10


def refresh(world: World, account: Json, before: Json, cause: Cause | None = None) -> None:
    """Bring the account up to date with all that belongs to it, and tell what differs from `before`."""
    account["external_accounts"] = _banks_shown(world, account)
    changed_capabilities = _apply(world, account)
    world.accounts.changed(account)
    differs = previous(before, account)
    if differs:
        world.emit(account["id"], "account.updated", account, differs, cause)
    for capability, was in changed_capabilities:
        world.emit(account["id"], "capability.updated", capability, was, cause)


def _apply(world: World, account: Json) -> list[tuple[Json, Json]]:
    """Write on the account what follows from its state; each capability that changed, with what it was.

    What was `forced` goes before what would follow: that is how a test brings an account into any state.
    """
    hidden = world.hidden[account["id"]]
    forced = hidden["forced"]
    absent = [] if account["id"] == world.platform else _absent(world, account)
    past_due = list(forced.get("past_due", []))
    due = [*absent, *(name for name in forced.get("currently_due", []) if name not in absent), *past_due]
    reason = forced.get("disabled_reason") or ("requirements.past_due" if absent or past_due else None)
    account["requirements"] = objects.requirements(due, reason) | {
        "past_due": past_due,
        "current_deadline": forced.get("current_deadline"),
    }
    changed = []
    for name, capability in hidden["capabilities"].items():
        before = copy(capability)
        capability["status"] = _status(name, capability, forced, absent)
        capability["requirements"] = objects.requirements(list(absent), reason)
        account["capabilities"][name] = capability["status"]
        if before["status"] != capability["status"]:
            changed.append((capability, previous(before, capability)))
    world.hide(account["id"], capabilities=hidden["capabilities"])
    account["details_submitted"] = forced.get("details_submitted", not absent)
    account["payouts_enabled"] = forced.get("payouts_enabled", reason is None)
    account["charges_enabled"] = forced.get("charges_enabled", not absent)
    return changed


def _absent(world: World, account: Json) -> list[str]:
    """What Stripe still wants to have from the account."""
    absent = [] if world.bank_accounts.of(account["id"]) else ["external_account"]
    accepted = account["tos_acceptance"]
    return absent + [f"tos_acceptance.{name}" for name in ("date", "ip") if not accepted[name]]


def _status(name: str, capability: Json, forced: Json, absent: list[str]) -> str:
    status = forced.get("capabilities", {}).get(name)
    if status is not None:
        return str(status)
    if not capability["requested"]:
        return "unrequested"
    return "inactive" if absent else "active"


def _banks_shown(world: World, account: Json) -> Json:
    banks = world.bank_accounts.of(account["id"])
    url = f"/v1/accounts/{account['id']}/external_accounts"
    return objects.listed([copy(bank) for bank in banks[:MAX_SHOWN]], url, len(banks) > MAX_SHOWN)
