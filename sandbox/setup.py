"""Accounts brought into any state, without the forms that Stripe would ask for."""

import msgspec

from sandbox import objects
from sandbox.balances import top_up
from sandbox.bank_accounts import GOOD_NUMBER, attach
from sandbox.capabilities import TRANSFERS, request
from sandbox.changes import copy
from sandbox.readiness import refresh
from sandbox.shared import Json
from sandbox.world import World


class NewAccount(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An account that may be paid at once, on a manual schedule."""

    country: str = "US"
    currency: str = "usd"
    account_number: str = GOOD_NUMBER
    """One of Stripe's numbers for tests makes each of its payouts fail."""
    email: str | None = None
    metadata: dict[str, str] = {}
    available_minor: int = 0
    """Its balance from the start."""


class Forced(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the account is from now on, whatever would follow from what it gave."""

    payouts_enabled: bool | msgspec.UnsetType | None = msgspec.UNSET
    charges_enabled: bool | msgspec.UnsetType | None = msgspec.UNSET
    details_submitted: bool | msgspec.UnsetType | None = msgspec.UNSET
    disabled_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    currently_due: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    past_due: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    current_deadline: int | msgspec.UnsetType | None = msgspec.UNSET
    capabilities: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    """The status of each capability by its name, such as `{"transfers": "inactive"}`."""


def ready_account(world: World, wanted: NewAccount) -> Json:
    id_ = world.new_id("acct", world.platform)
    made = objects.account(id_, world.now(), "custom", wanted.country, wanted.currency, wanted.email)
    made["metadata"] = wanted.metadata
    made["tos_acceptance"] = {"date": world.now(), "ip": "127.0.0.1", "user_agent": None}
    made["settings"]["payouts"]["schedule"] = {"delay_days": 2, "interval": "manual"}
    world.accounts.add(world.platform, made)
    world.hide(id_, capabilities={}, forced={})
    request(world, made, TRANSFERS)
    give = {"country": wanted.country, "currency": wanted.currency, "account_number": wanted.account_number}
    attach(world, made, give, "external_account")
    refresh(world, made, copy(made))
    if wanted.available_minor:
        top_up(world, id_, wanted.currency, wanted.available_minor)
    return made


def force(world: World, account: Json, wanted: Forced) -> Json:
    """A field that is null is no longer forced."""
    forced = {**world.hidden[account["id"]]["forced"], **msgspec.to_builtins(wanted)}
    before = copy(account)
    world.hide(account["id"], forced={name: value for name, value in forced.items() if value is not None})
    refresh(world, account, before)
    return account
