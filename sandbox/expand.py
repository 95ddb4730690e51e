"""`expand[]`: an id in an answer is replaced by the object that it names."""

from collections.abc import Callable

from sandbox.errors import bad_parameter
from sandbox.shared import Json
from sandbox.world import World

MAX_DEPTH = 4
_EXPANDABLE = {
    "payout": (
        "balance_transaction",
        "destination",
        "failure_balance_transaction",
        "original_payout",
        "reversed_by",
    ),
    "transfer": ("balance_transaction", "destination"),
    "transfer_reversal": ("balance_transaction", "transfer"),
    "balance_transaction": ("source",),
    "bank_account": ("account",),
}


def expanded(world: World, answer: Json, paths: list[str]) -> Json:
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_DEPTH:
            raise bad_parameter(
                "expand", f"You cannot expand more than {MAX_DEPTH} levels of a property ({path})."
            )
        answer = _expand(world, answer, parts, path)
    return answer


def _expand(world: World, thing: Json, parts: list[str], path: str) -> Json:
    name, *rest = parts
    value = thing.get(name)
    if isinstance(value, list):  # `data` of a list
        return {**thing, name: [_expand(world, each, rest, path) if rest else each for each in value]}
    if isinstance(value, dict):
        return {**thing, name: _expand(world, value, rest, path)} if rest else thing
    if name not in _EXPANDABLE.get(thing.get("object", ""), ()):
        raise bad_parameter("expand", f"This property cannot be expanded ({path}).")
    found = _find(world, value) if isinstance(value, str) else None
    if found is None:
        return thing
    return {**thing, name: _expand(world, found, rest, path) if rest else found}


def _find(world: World, id_: str) -> Json | None:
    finders: dict[str, Callable[[str], Json | None]] = {
        "txn": world.movements.any,
        "ba": world.bank_accounts.any,
        "acct": world.accounts.any,
        "po": world.payouts.any,
        "tr": world.transfers.any,
        "trr": world.reversals.any,
    }
    finder = finders.get(id_.partition("_")[0])
    return finder(id_) if finder else None
