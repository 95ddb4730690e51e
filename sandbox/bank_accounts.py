"""External accounts: where payouts go. One of each currency is the default."""

from sandbox import objects
from sandbox.calls import Call
from sandbox.changes import copy, previous
from sandbox.errors import bad_parameter, missing, no_access, refused
from sandbox.lists import page
from sandbox.money import CURRENCIES
from sandbox.readiness import refresh
from sandbox.shared import Cause, Json
from sandbox.world import World

ERRORED = "errored"
UNUSABLE = (ERRORED, "verification_failed", "tokenized_account_number_deactivated")
GOOD_NUMBER = "000123456789"
FAILS_WITH = {
    "000111111116": "no_account",
    "000111111113": "account_closed",
    "000222222227": "insufficient_funds",
    "000333333335": "debit_not_authorized",
    "000444444440": "invalid_currency",
}
"""Test account numbers whose payouts fail, each with its failure code."""


def create(call: Call) -> Json:
    account = _account(call)
    bank, default = call.params.raw("external_account"), call.params.boolean("default_for_currency")
    metadata = call.params.metadata()
    call.params.finish()
    made = attach(call.world, account, bank, "external_account", default=default, cause=call.cause)
    if metadata:
        made["metadata"] = metadata
        call.world.bank_accounts.changed(made)
    return made


def retrieve(call: Call) -> Json:
    call.params.finish()
    return _named(call)


def list_all(call: Call) -> Json:
    account = _account(call)
    call.params.one_of("object", "bank_account", "card")
    url = f"/v1/accounts/{account['id']}/external_accounts"
    return page(call, call.world.bank_accounts, url, owner=account["id"], dated=False)


def update(call: Call) -> Json:
    """Whatever is updated, an errored bank account is tried again."""
    world, params, bank = call.world, call.params, _named(call)
    before = copy(bank)
    metadata = params.metadata(bank["metadata"])
    default = params.boolean("default_for_currency")
    given = {name: params.text(name) for name in _UPDATABLE if params.has(name)}
    params.finish()
    bank |= given
    if metadata is not None:
        bank["metadata"] = metadata
    if default:
        _make_default(world, bank)
    if bank["status"] == ERRORED:
        bank["status"] = "new"
    changed(world, bank, before, call.cause)
    return bank


def delete(call: Call) -> Json:
    world, bank, account = call.world, _named(call), _account(call)
    call.params.finish()
    if bank["default_for_currency"] and bank["currency"] == account["default_currency"]:
        raise refused(None, "The default external account of the default currency can't be deleted.")
    detach(world, account, bank, call.cause)
    return {"id": bank["id"], "object": "bank_account", "currency": bank["currency"], "deleted": True}


_UPDATABLE = ("account_holder_name", "account_holder_type", "account_type")


def attach(
    world: World,
    account: Json,
    given: object,
    param: str,
    *,
    default: bool | None = None,
    replace: bool = False,
    cause: Cause | None = None,
) -> Json:
    """Add a bank account, given by a token or by its details. The first of a currency becomes its default;
    `replace` takes the place of the default one, which goes."""
    details = read_details(given, account, param)
    number = details["account_number"]
    made = objects.bank_account(
        world.new_id("ba", account["id"]), account["id"], details, world.names.id("", number)[1:17]
    )
    same = [bank for bank in world.bank_accounts.of(account["id"]) if bank["currency"] == made["currency"]]
    replaced = [bank for bank in same if replace and bank["default_for_currency"]]
    world.bank_accounts.add(account["id"], made)
    if default or replaced or not same:
        _make_default(world, made)
    if number in FAILS_WITH:
        world.hide(made["id"], fails_with=FAILS_WITH[number])
    world.emit(account["id"], "account.external_account.created", made, cause=cause)
    refresh(world, account, copy(account), cause)
    for bank in replaced:
        detach(world, account, bank, cause)
    return made


def detach(world: World, account: Json, bank: Json, cause: Cause | None = None) -> None:
    world.bank_accounts.remove(bank)
    world.forget(bank["id"])
    world.emit(account["id"], "account.external_account.deleted", bank, cause=cause)
    refresh(world, account, copy(account), cause)


def changed(world: World, bank: Json, before: Json, cause: Cause | None = None) -> None:
    """Note and tell a change of a bank account that was made in place."""
    world.bank_accounts.changed(bank)
    differs = previous(before, bank)
    account = world.accounts.any(bank["account"])
    if differs and account is not None:
        world.emit(bank["account"], "account.external_account.updated", bank, differs, cause)
        refresh(world, account, copy(account), cause)


def set_status(world: World, bank: Json, status: str) -> None:
    before = copy(bank)
    bank["status"] = status
    changed(world, bank, before)


def default_for(world: World, account_id: str, currency: str) -> Json | None:
    for bank in world.bank_accounts.of(account_id):
        if bank["currency"] == currency and bank["default_for_currency"]:
            return bank
    return None


def _make_default(world: World, chosen: Json) -> None:
    for bank in world.bank_accounts.of(chosen["account"]):
        if bank["currency"] == chosen["currency"]:
            bank["default_for_currency"] = bank is chosen
            world.bank_accounts.changed(bank)


def read_details(given: object, account: Json, param: str) -> dict[str, str]:
    """The bank account's country, currency, account_number, last4 and whatever else was given as text; 400
    where something is wrong with it."""
    if isinstance(given, str) and given.startswith("btok_"):
        given = {"country": account["country"], "currency": account["default_currency"]}
        given["account_number"] = GOOD_NUMBER
    if not isinstance(given, dict):
        raise bad_parameter(param, f"No such token: '{given}'", "resource_missing")
    details = {name: value for name, value in given.items() if isinstance(value, str)}
    for name in ("country", "currency", "account_number"):
        if not details.get(name):
            raise bad_parameter(
                f"{param}[{name}]", f"Missing required param: {param}[{name}].", "parameter_missing"
            )
    details["currency"] = details["currency"].lower()
    if details["currency"] not in CURRENCIES:
        raise bad_parameter(f"{param}[currency]", f"Invalid currency: {details['currency']}")
    details["last4"] = details["account_number"][-4:]
    if details["country"] == "US":
        details.setdefault("routing_number", "110000000")
    return details


def _account(call: Call) -> Json:
    account_id = call.path["account"]
    account = call.world.accounts.any(account_id)
    gone = call.world.hidden.get(account_id, {}).get("deauthorized")
    if account is None or gone or call.account not in (call.world.platform, account_id):
        raise no_access(account_id)
    return account


def _named(call: Call) -> Json:
    bank = call.world.bank_accounts.find(_account(call)["id"], call.path["id"])
    if bank is None:
        raise missing("external account", call.path["id"])
    return bank
