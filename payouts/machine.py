"""What an event does to a payout: a pure decision, made from the state under lock.

The rule: the state comes from `data.object.status`, never from the event's type or time. A move to any
higher rank is legal, from nothing included; the same or a lower rank is ordinary lateness and is ignored.
Only failed against canceled cannot be resolved from the event: Stripe is asked, and believed.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from payouts.event import PayoutObject, id_of
from payouts.failures import is_known as is_known_code
from payouts.states import CONFIRMED_TRANSITIONS, TRANSITIONS, PayoutStatus


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout as the service holds it; the fields are the columns of its table."""

    id: int
    stripe_id: str
    account: str
    status: PayoutStatus | None
    amount_minor: int
    currency: str
    origin: str
    livemode: bool
    automatic: bool | None
    method: str | None
    destination: str | None
    arrival_date_s: int | None
    created_s: int | None
    balance_transaction: str | None
    failure_balance_transaction: str | None
    failure_code: str | None
    failure_message: str | None
    original_payout: str | None
    reversed_by: str | None
    reconciliation_status: str | None
    trace_id: str | None
    unknown_status: str | None
    created_at_ms: int
    updated_at_ms: int
    request_id: int | None = None
    """The requested payout that it pays out; None: foreign."""


METHODS = frozenset({"standard", "instant"})
_RECONCILED = "completed"
PAYOUT_COLUMNS: tuple[str, ...] = tuple(f.name for f in dataclasses.fields(Payout))


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state that was made, with its reason."""

    from_status: PayoutStatus | None
    to_status: PayoutStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something operators must hear of; at most one of a name for a payout."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The event changes the payout: `changes` by column, and perhaps its state."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    transition: Transition | None = None
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do. `reason` is read by people and groups well: it names states, never ids."""

    reason: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Cannot be decided yet. `ask_stripe`: fetch the object, then decide again."""

    reason: str
    ask_stripe: bool = False
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Dead:
    """Cannot be applied, and trying again cannot help: a person decides."""

    reason: str


Decision = Applied | Ignored | Deferred | Dead


def decide(current: Payout | None, seen: PayoutObject, account: str, *, confirmed: bool = False) -> Decision:
    """What a payout object, as an event or Stripe's API showed it, does to the payout held.

    `current`: the row under lock, None at first sight. `confirmed`: the object was fetched from Stripe
    just now, so it settles a contradiction.
    """
    status = seen.business_status
    if current is None:
        if status is None:
            return _note_unknown(seen)
        return _move(None, status, seen, "first seen")
    mismatch = _mismatch(current, seen, account)
    if mismatch:
        return Dead(mismatch)
    if status is None:
        if current.unknown_status is not None:
            return Ignored(f"unknown status {seen.status[:64]!r}: moves nothing")
        return _note_unknown(seen)
    old = current.status
    if (old, status) in TRANSITIONS:
        return _move(current, status, seen, "as Stripe reports" if not confirmed else "as Stripe confirms")
    if (old, status) in CONFIRMED_TRANSITIONS:
        if not confirmed:
            reason = f"conflict: {status} after {old}; Stripe is asked which holds"
            return Deferred(reason, ask_stripe=True, alerts=(Alert("alert.payout_conflict", reason),))
        return _move(current, status, seen, f"conflict with {old}: Stripe confirms {status}")
    details = _details(current, seen)
    if details:
        return Applied(details)
    if status == old:
        return Ignored(f"already {old}")
    return Ignored(f"late: {status} after {old}")


def _move(current: Payout | None, to: PayoutStatus, seen: PayoutObject, reason: str) -> Applied:
    # What a later state knows stands; what it leaves out is kept (a reversal keeps its failure codes).
    known = {name: value for name, value in facts(seen).items() if value is not None}
    if current:
        known.pop("created_s", None)
    if current and current.reconciliation_status == _RECONCILED:
        known.pop("reconciliation_status", None)
    # An unknown status that was seen stays noted: in whatever order events come, all ends the same.
    changes = {**known, "status": to}
    return Applied(
        changes, Transition(current.status if current else None, to, reason), _unknown_values(seen)
    )


def _unknown_values(seen: PayoutObject) -> tuple[Alert, ...]:
    """Values of open strings that this code has no rule for: taken as they are, and reported."""
    alerts = []
    if seen.failure_code and not is_known_code(seen.failure_code):
        text = f"unknown failure code {seen.failure_code[:128]!r}: a person must decide"
        alerts.append(Alert("alert.payout_failure_code_unknown", text))
    if seen.method and seen.method not in METHODS:
        alerts.append(Alert("alert.payout_method_unknown", f"unknown payout method {seen.method[:64]!r}"))
    return tuple(alerts)


def facts(seen: PayoutObject) -> dict[str, Any]:
    """The columns that a payout object fills, besides its identity, amount and state."""
    return {
        "automatic": seen.automatic,
        "method": _fit(seen.method, 64),
        "destination": _fit(id_of(seen.destination), 255),
        "arrival_date_s": seen.arrival_date,
        "created_s": seen.created,
        "balance_transaction": _fit(id_of(seen.balance_transaction), 255),
        "failure_balance_transaction": _fit(id_of(seen.failure_balance_transaction), 255),
        "failure_code": _fit(seen.failure_code, 128),
        "failure_message": seen.failure_message[:1000] if seen.failure_message else None,
        "original_payout": _fit(id_of(seen.original_payout), 255),
        "reversed_by": _fit(id_of(seen.reversed_by), 255),
        "reconciliation_status": _fit(seen.reconciliation_status, 64),
        "trace_id": seen.trace_id.value[:255] if seen.trace_id and seen.trace_id.value else None,
    }


def _details(current: Payout, seen: PayoutObject) -> dict[str, Any]:
    """What an event adds without moving the state: only steps that cannot be undone by a late one."""
    if seen.business_status != current.status:
        return {}
    changes: dict[str, Any] = {}
    if seen.reconciliation_status == _RECONCILED and current.reconciliation_status != _RECONCILED:
        changes["reconciliation_status"] = _RECONCILED
    if seen.trace_id and seen.trace_id.value and current.trace_id is None:
        changes["trace_id"] = seen.trace_id.value[:255]
    return changes


def _note_unknown(seen: PayoutObject) -> Applied:
    status = seen.status[:64]
    alert = Alert("alert.payout_status_unknown", f"unknown payout status {status!r}: it moves nothing")
    return Applied({"unknown_status": status}, alerts=(alert,))


def _mismatch(current: Payout, seen: PayoutObject, account: str) -> str | None:
    if current.account != account:
        return f"the payout belongs to {current.account}, the event to {account}"
    if (current.amount_minor, current.currency) != (seen.amount, seen.currency.lower()):
        held = f"{current.amount_minor} {current.currency}"
        return f"the payout is over {held}, the event says {seen.amount} {seen.currency.lower()}"
    return None


def _fit(text: str | None, limit: int) -> str | None:
    return text.encode("ascii", "replace").decode()[:limit] if text else None
