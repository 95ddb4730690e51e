"""Reversals of transfers, in whole or in part: the money comes back to the platform."""

from sandbox import balances, objects
from sandbox.calls import Call
from sandbox.errors import missing, refused
from sandbox.lists import page
from sandbox.money import check_amount
from sandbox.shared import Json

MAX_SHOWN = 10


def create(call: Call) -> Json:
    world, params = call.world, call.params
    transfer = call.named(world.transfers, "transfer")
    left_minor = transfer["amount"] - transfer["amount_reversed"]
    given = params.integer("amount")
    amount_minor = left_minor if given is None else check_amount(given, transfer["currency"], is_payout=False)
    metadata = params.metadata() or {}
    params.text("description")
    params.boolean("refund_application_fee")
    params.finish()
    if amount_minor > left_minor or not left_minor:
        raise refused(None, f"At most {left_minor} of this transfer can still be reversed.", "amount")
    destination, currency = transfer["destination"], transfer["currency"]
    balances.demand(world, destination, currency, amount_minor, "reversal")
    id_ = world.new_id("trr", transfer["id"])
    refund = world.names.id("pyr", id_)
    balances.move(world, destination, currency, -amount_minor, "payment_refund", refund)
    back = balances.move(world, call.account, currency, amount_minor, "transfer_refund", id_)
    made = objects.transfer_reversal(
        id_,
        world.now(),
        amount=amount_minor,
        balance_transaction=back["id"],
        currency=currency,
        destination_payment_refund=refund,
        metadata=metadata,
        transfer=transfer["id"],
    )
    world.reversals.add(transfer["id"], made)
    transfer["amount_reversed"] += amount_minor
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    _show(call, transfer)
    world.emit(call.account, "transfer.reversed", transfer, cause=call.cause)
    return made


def retrieve(call: Call) -> Json:
    call.params.finish()
    return _named(call)


def list_all(call: Call) -> Json:
    transfer = call.named(call.world.transfers, "transfer")
    return page(call, call.world.reversals, transfer["reversals"]["url"], owner=transfer["id"])


def update(call: Call) -> Json:
    reversal = _named(call)
    metadata = call.params.metadata(reversal["metadata"])
    call.params.finish()
    if metadata is not None:
        reversal["metadata"] = metadata
        call.world.reversals.changed(reversal)
        _show(call, call.named(call.world.transfers, "transfer"))
    return reversal


def _named(call: Call) -> Json:
    transfer = call.named(call.world.transfers, "transfer")
    found = call.world.reversals.find(transfer["id"], call.path["reversal"])
    if found is None:
        raise missing("transfer reversal", call.path["reversal"])
    return found


def _show(call: Call, transfer: Json) -> None:
    """A transfer carries its newest reversals."""
    made = call.world.reversals.of(transfer["id"])
    transfer["reversals"] |= {"data": list(made[: -MAX_SHOWN - 1 : -1]), "has_more": len(made) > MAX_SHOWN}
    call.world.transfers.changed(transfer)
