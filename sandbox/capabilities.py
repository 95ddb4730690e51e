"""What an account may do: worked out from what it gave and from what it was forced to be."""

from sandbox import objects
from sandbox.calls import Call
from sandbox.changes import copy, previous
from sandbox.errors import missing, no_access
from sandbox.shared import Json
from sandbox.world import World

TRANSFERS = "transfers"


def request(world: World, account: Json, name: str, asked: bool = True) -> None:
    capabilities = world.hidden[account["id"]]["capabilities"]
    if name not in capabilities:
        capabilities[name] = objects.capability(name, account["id"], world.now())
    capabilities[name]["requested"] = asked
    world.hide(account["id"], capabilities=capabilities)


def apply(world: World, account: Json) -> list[tuple[Json, Json]]:
    """Write down on the account what follows from its state; each capability that changed, with what it was.

    What was `forced` goes before what would follow: that is how a test brings an account into any state.
    """
    hidden = world.hidden[account["id"]]
    forced = hidden["forced"]
    absent = _absent(world, account)
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
        capability["requirements"] = objects.requirements(absent, reason)
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


def retrieve(call: Call) -> Json:
    call.params.finish()
    name = call.path["capability"]
    found = _of_named_account(call).get(name)
    if found is None:
        raise missing("capability", name)
    return found


def list_all(call: Call) -> Json:
    call.params.finish()
    capabilities = list(_of_named_account(call).values())
    return objects.listed(capabilities, f"/v1/accounts/{call.path['account']}/capabilities")


def _of_named_account(call: Call) -> dict[str, Json]:
    account_id = call.path["account"]
    hidden = call.world.hidden.get(account_id, {"deauthorized": True})
    if call.account not in (call.world.platform, account_id) or hidden.get("deauthorized"):
        raise no_access(account_id)
    capabilities: dict[str, Json] = hidden["capabilities"]
    return capabilities
