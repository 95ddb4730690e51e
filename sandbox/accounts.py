"""Connected accounts: what they gave, what they may do, and which of that changed."""

from sandbox import objects
from sandbox.bank_accounts import attach, read_details
from sandbox.calls import Call
from sandbox.capabilities import request
from sandbox.changes import copy
from sandbox.errors import bad_parameter, no_access
from sandbox.lists import page
from sandbox.params import Params
from sandbox.readiness import refresh
from sandbox.shared import Json
from sandbox.world import World

TYPES = ("express", "custom", "standard")
_MERGED = ("business_profile", "settings", "tos_acceptance")
_SET = ("email", "business_type", "default_currency")
_ACCEPTED = ("company", "individual", "documents", "groups", "account_token")
"""Taken and not shown again: nothing here depends on them."""
_CURRENCY_OF = {"US": "usd", "GB": "gbp", "JP": "jpy", "HU": "huf", "TW": "twd", "CA": "cad", "CH": "chf"}


def create(call: Call) -> Json:
    world, params = call.world, call.params
    kind = params.one_of("type", *TYPES) or "custom"
    params.raw("controller")
    country = (params.text("country") or "US").upper()
    currency = params.text("default_currency") or _CURRENCY_OF.get(country, "eur")
    metadata = params.metadata() or {}
    given = _read(params)
    made = objects.account(
        world.new_id("acct", world.platform), world.now(), kind, country, currency, params.text("email")
    )
    made["metadata"] = metadata
    _merge(made, given)
    bank = params.raw("external_account")
    wanted = _capabilities(params)
    params.finish()
    if bank:
        read_details(bank, made, "external_account")  # before anything is made of it
    world.accounts.add(world.platform, made)
    world.hide(made["id"], capabilities={}, forced={})
    for name, asked in wanted.items():
        request(world, made, name, asked)
    if bank:
        attach(world, made, bank, "external_account", cause=call.cause)
    refresh(world, made, copy(made), call.cause)
    return made


def update(call: Call) -> Json:
    world, params = call.world, call.params
    account = _named(call)
    metadata = params.metadata(account["metadata"])
    given = _read(params)
    bank = params.raw("external_account")
    wanted = _capabilities(params)
    params.finish()
    if bank:  # the first that can fail
        attach(world, account, bank, "external_account", replace=True, cause=call.cause)
    before = copy(account)
    _merge(account, given)
    if metadata is not None:
        account["metadata"] = metadata
    for name, asked in wanted.items():
        request(world, account, name, asked)
    refresh(world, account, before, call.cause)
    return account


def retrieve(call: Call) -> Json:
    call.params.finish()
    return _named(call)


def retrieve_own(call: Call) -> Json:
    call.params.finish()
    return call.world.accounts.any(call.account) or {}


def list_all(call: Call) -> Json:
    def keep(account: Json) -> bool:
        return not call.world.hidden[account["id"]].get("deauthorized")

    return page(call, call.world.accounts, "/v1/accounts", keep)


def reachable(world: World, account_id: str) -> Json:
    """The account that a call names; a 403 where the platform has no access to it (any more)."""
    account = world.accounts.any(account_id)
    if account is None or world.hidden[account_id].get("deauthorized"):
        raise no_access(account_id)
    return account


def deauthorize(world: World, account_id: str) -> None:
    """The account leaves the platform: from now on it can't be reached."""
    application = {"id": application_id(world), "object": "application", "name": "Sandbox platform"}
    world.emit(account_id, "account.application.deauthorized", application)
    world.hide(account_id, deauthorized=True)


def application_id(world: World) -> str:
    return world.names.id("ca", world.platform)


def _named(call: Call) -> Json:
    account_id = call.path["account"]
    if call.account not in (call.world.platform, account_id):
        raise no_access(account_id)
    return reachable(call.world, account_id)


def _read(params: Params) -> Json:
    given: Json = {name: params.text(name) for name in _SET if params.has(name)}
    for name in _MERGED:
        value = params.raw(name)
        if value is not None and not isinstance(value, dict):
            raise bad_parameter(name, f"Invalid object: {name}")
        given |= {name: value} if value else {}
    for name in _ACCEPTED:
        params.raw(name)
    return given


def _capabilities(params: Params) -> dict[str, bool]:
    """By name, whether it is asked for."""
    given = params.raw("capabilities") or {}
    if not isinstance(given, dict) or not all(isinstance(each, dict) for each in given.values()):
        raise bad_parameter("capabilities", "Invalid object: capabilities")
    return {name: each.get("requested") == "true" for name, each in given.items()}


def _merge(into: Json, given: Json) -> None:
    """Put what was given over what is there; a number or a truth stays one."""
    for key, value in given.items():
        old = into.get(key)
        if isinstance(value, dict):
            inner = old if isinstance(old, dict) else {}
            into[key] = inner
            _merge(inner, value)
        elif isinstance(value, str) and value in ("true", "false"):
            into[key] = value == "true"
        elif isinstance(value, str) and value.isdecimal() and (key == "date" or isinstance(old, int)):
            into[key] = int(value)
        else:
            into[key] = value or None
