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


_KNOWN = {"data", *(name for names in _EXPANDABLE.values() for name in names)}


def check(paths: list[str]) -> list[str]:
    """400 for what can't be expanded in any object: said before a call does its work."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_DEPTH:
            raise bad_parameter("expand", f"You cannot expand more than {MAX_DEPTH} levels ({path}).")
        if not _KNOWN.issuperset(parts):
            raise bad_parameter("expand", f"This property cannot be expanded ({path}).")
    return paths


def expanded(world: World, answer: Json, paths: list[str]) -> Json:
    """The answer with its ids replaced; a path that this object does not have changes nothing."""
    for path in paths:
        answer = _expand(world, answer, path.split("."))
    return answer


def _expand(world: World, thing: Json, parts: list[str]) -> Json:
    name, *rest = parts
    value = thing.get(name)
    if isinstance(value, list):  # `data` of a list
        return {**thing, name: [_expand(world, each, rest) if rest else each for each in value]}
    if isinstance(value, dict):
        return {**thing, name: _expand(world, value, rest)} if rest else thing
    expandable = name in _EXPANDABLE.get(thing.get("object", ""), ())
    found = _find(world, value) if expandable and isinstance(value, str) else None
    if found is None:
        return thing
    return {**thing, name: _expand(world, found, rest) if rest else found}


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
