"""Transfers: money from the platform's balance to a connected account's."""

from sandbox import balances, objects
from sandbox.calls import Call
from sandbox.capabilities import TRANSFERS
from sandbox.changes import copy, previous
from sandbox.errors import missing_parameter, refused
from sandbox.lists import page
from sandbox.money import check_amount, read_currency
from sandbox.shared import Json


def create(call: Call) -> Json:
    world, params = call.world, call.params
    currency = read_currency(params)
    amount_minor = check_amount(params.required_integer("amount"), currency, is_payout=False)
    destination = params.required_text("destination")
    description, group = params.text("description"), params.text("transfer_group")
    metadata = params.metadata() or {}
    source_type = params.one_of("source_type", "bank_account", "card", "fpx") or "card"
    source = params.text("source_transaction")
    params.finish()
    account = world.accounts.find(world.platform, destination)
    if account is None or call.account != world.platform:
        raise missing_parameter("destination", destination, "destination")
    if world.hidden[destination].get("deauthorized"):
        raise refused("account_invalid", f"'{destination}' is no longer connected.", "destination")
    if account["capabilities"].get(TRANSFERS) != "active":
        raise refused(
            "insufficient_capabilities_for_transfer",
            "The destination account needs the capability transfers, and it is not active.",
            "destination",
        )
    balances.demand(world, call.account, currency, amount_minor, "transfer")
    id_ = world.new_id("tr", destination)
    payment = world.names.id("py", id_)
    taken = balances.move(world, call.account, currency, -amount_minor, "transfer", id_)
    wait_s = world.settings.transfer_pending_s
    due = world.now() + int(wait_s) if wait_s else None
    given = balances.move(world, destination, currency, amount_minor, "payment", payment, available_on=due)
    if given["status"] == "pending":
        balances.release_later(world, given, wait_s)
    made = objects.transfer(
        id_,
        world.now(),
        amount=amount_minor,
        balance_transaction=taken["id"],
        currency=currency,
        description=description,
        destination=destination,
        destination_payment=payment,
        metadata=metadata,
        source_transaction=source,
        source_type=source_type,
        transfer_group=group,
    )
    world.transfers.add(call.account, made)
    world.emit(call.account, "transfer.created", made, cause=call.cause)
    return made


def destination(call: Call) -> str:
    """A transfer is about its destination: calls for other partners don't change its story."""
    value = call.params.raw("destination")
    return value if isinstance(value, str) else call.account


def retrieve(call: Call) -> Json:
    call.params.finish()
    return call.named(call.world.transfers, "transfer")


def list_all(call: Call) -> Json:
    wanted = {name: call.params.text(name) for name in ("transfer_group", "destination")}

    def keep(transfer: Json) -> bool:
        return all(value is None or transfer[name] == value for name, value in wanted.items())

    return page(call, call.world.transfers, "/v1/transfers", keep)


def update(call: Call) -> Json:
    transfer = call.named(call.world.transfers, "transfer")
    before = copy(transfer)
    metadata = call.params.metadata(transfer["metadata"])
    described, description = call.params.has("description"), call.params.text("description")
    call.params.finish()
    if metadata is not None:
        transfer["metadata"] = metadata
    if described:
        transfer["description"] = description
    call.world.transfers.changed(transfer)
    differs = previous(before, transfer)
    if differs:
        call.world.emit(call.account, "transfer.updated", transfer, differs, call.cause)
    return transfer
