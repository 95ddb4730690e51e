"""The legs of a requested payout at Stripe, and the attempts at each."""

from dataclasses import dataclass

from payouts.states import AttemptStatus, LegKind, LegStatus


@dataclass(frozen=True, slots=True)
class Leg:
    """A step at Stripe: a transfer, a payout, or a transfer's reversal. Fields are its table's columns."""

    id: int
    account: str
    request_id: int
    kind: LegKind
    status: LegStatus
    amount_minor: int
    currency: str
    stripe_id: str | None
    reversed_minor: int
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One idempotency key with one frozen request. Fields are its table's columns."""

    id: int
    account: str
    request_id: int
    leg_id: int
    number: int
    idempotency_key: str
    stripe_account: str | None
    call: str
    body: str
    status: AttemptStatus
    sends: int
    first_sent_at_ms: int
    last_sent_at_ms: int
    answered_at_ms: int | None
    http_status: int | None
    error_code: str | None
    error: str | None
    stripe_request_id: str | None
    worker: str
