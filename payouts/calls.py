"""The calls that move money: frozen before they are made, and what an answer to one means. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from payouts.leg import Attempt
from payouts.request import PayoutRequest

KEY_LIFE_MS = 23 * 3600 * 1000
"""How long after its first sending an attempt may be repeated. Stripe keeps a key for at least 24 h; re-used
after that it makes a new request."""
METADATA_REQUEST, METADATA_LEG = "payout_id", "payout_leg"
"""Metadata of everything made at Stripe: by these an event finds the request and the leg it belongs to."""


class Call(StrEnum):
    """A call of Stripe's API that changes something."""

    TRANSFER = "transfers.create"
    PAYOUT = "payouts.create"
    REVERSAL = "transfers.reversals.create"


@dataclass(frozen=True, slots=True)
class FrozenCall:
    """A call as it is sent, each time the same: `target` is the object it is about, where it needs one."""

    call: Call
    params: Mapping[str, Any]
    idempotency_key: str
    stripe_account: str | None = None
    target: str | None = None

    def body(self) -> str:
        """What is kept in the database: JSON with `params` and `target`."""
        return msgspec.json.encode({"target": self.target, "params": self.params}, order="sorted").decode()


def thawed(attempt: Attempt) -> FrozenCall:
    """The call that an attempt froze."""
    body = msgspec.json.decode(attempt.body)
    return FrozenCall(
        Call(attempt.call),
        body["params"],
        attempt.idempotency_key,
        attempt.stripe_account,
        body["target"],
    )


def transfer_call(request: PayoutRequest, leg_id: int, attempt_id: int) -> FrozenCall:
    """From the platform's balance to the balance of the partner's account."""
    params = {
        "amount": request.amount_minor,
        "currency": request.currency,
        "destination": request.account,
        "transfer_group": request.public_id,
        "metadata": _metadata(request, leg_id),
    }
    return FrozenCall(Call.TRANSFER, params, _key(request, "transfer", attempt_id))


def payout_call(request: PayoutRequest, leg_id: int, attempt_id: int, bank_account: str | None) -> FrozenCall:
    """From there to the bank account that was checked, and to no other."""
    params: dict[str, Any] = {
        "amount": request.amount_minor,
        "currency": request.currency,
        "metadata": _metadata(request, leg_id),
    }
    if bank_account:
        params["destination"] = bank_account
    if request.statement_descriptor:
        params["statement_descriptor"] = request.statement_descriptor
    return FrozenCall(Call.PAYOUT, params, _key(request, "payout", attempt_id), request.account)


def reversal_call(
    request: PayoutRequest, leg_id: int, attempt_id: int, transfer_id: str, amount_minor: int
) -> FrozenCall:
    """What is left of a transfer, back to the platform."""
    params = {"amount": amount_minor, "metadata": _metadata(request, leg_id)}
    return FrozenCall(Call.REVERSAL, params, _key(request, "reversal", attempt_id), target=transfer_id)


def _metadata(request: PayoutRequest, leg_id: int) -> dict[str, str]:
    return {METADATA_REQUEST: request.public_id, METADATA_LEG: str(leg_id)}


def _key(request: PayoutRequest, kind: str, attempt_id: int) -> str:
    return f"{request.public_id}-{kind}-{attempt_id}"


@dataclass(frozen=True, slots=True)
class Made:
    """Stripe has made it (now, or at an earlier sending of the same key). `body`: the object, as JSON."""

    body: bytes
    stripe_request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Stripe said no, and nothing was made. The answer is kept under the key, so another needs a new one."""

    code: str
    text: str
    http_status: int | None
    stripe_request_id: str | None = None


class Doubt(StrEnum):
    """Why an answer says nothing yet about the outcome."""

    NO_ANSWER = "no_answer"
    """The connection broke, the time ran out, or what came does not read."""
    SERVER_ERROR = "server_error"
    """Stripe failed in the middle: the work may be done or not. The same key says no more than this."""
    REPEATED_ERROR = "repeated_error"
    """The same key gave the kept server error again: only looking for the object can tell."""
    RESTORED = "restored"
    """The database was restored meanwhile, and what came of it may be lost: it is only looked for."""
    IN_USE = "in_use"
    """The same key is at work at this moment."""
    LIMITED = "limited"
    """Too many calls, or the account is locked by another one: this sending did nothing."""
    KEY_REFUSED = "key_refused"
    """The API key is wrong or was revoked: nothing was done, and nothing will be until it is changed."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The outcome is open: the same key again, later."""

    doubt: Doubt
    text: str
    http_status: int | None = None
    stripe_request_id: str | None = None


Answer = Made | Refused | Unknown


class Remedy(StrEnum):
    """What a refusal asks for."""

    WAIT_FOR_BALANCE = "wait_for_balance"
    """Again, with a new key, once `balance.available` says that money came."""
    LATER = "later"
    """Again, with a new key, after a while."""
    PARTNER = "partner"
    """The account cannot be paid as it is: nothing more until it changed."""
    BUG = "bug"
    """This service did something wrong: a person looks, and nothing is repeated."""
    NONE = "none"
    """It will be refused again: the request ends here."""


_REMEDIES = {
    "balance_insufficient": Remedy.WAIT_FOR_BALANCE,
    "payouts_limit_exceeded": Remedy.LATER,
    "payouts_not_allowed": Remedy.PARTNER,
    "account_invalid": Remedy.PARTNER,
    "account_closed": Remedy.PARTNER,
    "insufficient_capabilities_for_transfer": Remedy.PARTNER,
    "bank_account_unusable": Remedy.PARTNER,
    "no_account": Remedy.PARTNER,
    "idempotency_error": Remedy.BUG,
}
NO_ACCESS = "no_access"
"""The code for a 403, which has none of its own: access to the account is lost."""


def remedy_for(refused: Refused) -> Remedy:
    """What a refusal asks for, by its code (Stripe's "Error codes"; the classes are ours)."""
    if refused.code == NO_ACCESS:
        return Remedy.PARTNER
    return _REMEDIES.get(refused.code, Remedy.NONE)
