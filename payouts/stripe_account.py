"""Stripe's account object, as far as it says whether and where a partner can be paid."""

from collections.abc import Mapping
from typing import Any

import msgspec

from payouts.errors import PayloadError
from payouts.partner import PartnerState
from payouts.readiness import UNUSABLE_BANK


class _ExternalAccount(msgspec.Struct):
    id: str
    object: str = "bank_account"
    currency: str | None = None
    default_for_currency: bool | None = None
    status: str | None = None
    fingerprint: str | None = None
    last4: str | None = None
    bank_name: str | None = None
    brand: str | None = None


class _ExternalAccounts(msgspec.Struct):
    data: list[_ExternalAccount] = []
    has_more: bool = False


class _Requirements(msgspec.Struct):
    disabled_reason: str | None = None
    past_due: list[str] | None = None
    currently_due: list[str] | None = None
    current_deadline: int | None = None


class _Schedule(msgspec.Struct):
    interval: str | None = None


class _Payouts(msgspec.Struct):
    schedule: _Schedule | None = None


class _Settings(msgspec.Struct):
    payouts: _Payouts | None = None


class AccountObject(msgspec.Struct):
    """A connected account. Fields that some kinds of accounts lack are optional."""

    id: str
    object: str = "account"
    payouts_enabled: bool | None = None
    capabilities: dict[str, Any] | None = None
    requirements: _Requirements | None = None
    external_accounts: _ExternalAccounts | None = None
    settings: _Settings | None = None


_accounts = msgspec.json.Decoder(AccountObject)


def read_account(body: bytes) -> AccountObject:
    """An account as the API gave it. Raises PayloadError."""
    try:
        account = _accounts.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"Stripe's answer does not read as an account: {error}") from None
    if account.object != "account":
        raise PayloadError(f"expected an account, found an object of type {account.object[:40]!r}")
    return account


def facts_of(account: AccountObject, currency: str) -> dict[str, Any]:
    """What the account says about a partner that is paid in `currency`, by the columns of its table.

    Some kinds of accounts do not show their bank accounts: the columns about them are left out then.
    """
    wants = account.requirements
    capability = (account.capabilities or {}).get("transfers")
    interval = None
    if account.settings and account.settings.payouts and account.settings.payouts.schedule:
        interval = account.settings.payouts.schedule.interval
    state, reason = _state(account, currency, capability)
    return {
        "state": state,
        "state_reason": reason,
        "payouts_enabled": account.payouts_enabled,
        "transfers_capability": str(capability)[:32] if capability is not None else None,
        "requirements": msgspec.json.encode(wants).decode() if wants else None,
        "manual_schedule": interval == "manual" if interval else None,
        **_bank_facts(account, currency),
    }


def bank_need(account: AccountObject, currency: str) -> str | None:
    """What is wrong with the bank account that only the partner can mend: `missing` or `unusable`; None:
    nothing, or the account does not show its bank accounts."""
    return need_of(_bank_facts(account, currency))


def need_of(facts: Mapping[str, Any]) -> str | None:
    """The same of what is known of a bank account, by the columns of its partner; None where nothing is."""
    if not facts:
        return None
    if not facts["bank_account"]:
        return "missing"
    return "unusable" if facts["bank_status"] in UNUSABLE_BANK else None


def _bank_facts(account: AccountObject, currency: str) -> dict[str, Any]:
    if account.external_accounts is None:
        return {}
    bank = _bank(account.external_accounts, currency)
    if bank is None and account.external_accounts.has_more:
        return {}  # it may be among those that were not shown
    return {
        "bank_account": bank.id[:255] if bank else None,
        "bank_fingerprint": bank.fingerprint[:64] if bank and bank.fingerprint else None,
        "bank_status": bank.status[:32] if bank and bank.status else None,
        "bank_label": _label(bank) if bank else None,
    }


def _bank(accounts: _ExternalAccounts, currency: str) -> _ExternalAccount | None:
    """The one that a payout goes to: the currency's default, else its first."""
    fitting = [each for each in accounts.data if (each.currency or currency).lower() == currency]
    defaults = [each for each in fitting if each.default_for_currency]
    return next(iter(defaults or fitting), None)


def _label(bank: _ExternalAccount) -> str:
    name = bank.bank_name or bank.brand or bank.object.replace("_", " ")
    return f"{name} ···{bank.last4 or '?'}"[:128]


def _state(account: AccountObject, currency: str, capability: object) -> tuple[PartnerState, str | None]:
    if account.payouts_enabled is False:
        reason = account.requirements.disabled_reason if account.requirements else None
        return PartnerState.RESTRICTED, f"payouts are off at Stripe{f' ({reason})' if reason else ''}"
    if capability not in (None, "active"):
        return PartnerState.RESTRICTED, f"transfers are {capability} at Stripe"
    bank = _bank_facts(account, currency)
    if bank and bank["bank_account"] is None:
        return PartnerState.RESTRICTED, f"there is no bank account for {currency.upper()} at Stripe"
    if bank and bank["bank_status"] in UNUSABLE_BANK:
        return PartnerState.RESTRICTED, f"the bank account {bank['bank_label']} is {bank['bank_status']}"
    return PartnerState.READY, None
