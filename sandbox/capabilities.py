"""Capabilities: what an account has asked to do. Whether it may is worked out in `readiness`."""

from sandbox import objects
from sandbox.calls import Call
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
