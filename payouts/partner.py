"""A partner: whom the platform pays, by one Stripe account and in one currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

NO_SCHEDULE = "none"
"""The `schedule` of a partner that is paid only when somebody asks for it."""


class PartnerState(StrEnum):
    """Whether a partner can be paid."""

    UNVERIFIED = "unverified"
    """Registered; Stripe was not asked about the account yet."""
    READY = "ready"
    """Stripe takes transfers to the account and pays it out."""
    RESTRICTED = "restricted"
    """Stripe wants something first, or the bank account cannot be used."""
    BLOCKED = "blocked"
    """Not to be paid: by a person's decision, or because access to the account is lost."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner as the service holds it; the fields are the columns of its table."""

    id: int
    account: str
    reference: str
    name: str
    email: str
    currency: str
    state: PartnerState
    state_reason: str | None
    payouts_enabled: bool | None
    transfers_capability: str | None
    requirements: str | None
    manual_schedule: bool | None
    bank_account: str | None
    bank_fingerprint: str | None
    bank_status: str | None
    bank_label: str | None
    bank_since_ms: int | None
    bank_approved: str | None
    schedule: str
    schedule_day: int | None
    schedule_minimum_minor: int | None
    refreshed_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    email_bounced_at_ms: int | None = None
    """Since when nothing is written to its address, for mail came back; None: it is written to."""
    email_bounce: str | None = None
    email_since_ms: int | None = None
    """When a person gave the address or said that it works: what bounced before does not count any more."""


def bank_is_new(partner: Partner, facts: Mapping[str, object]) -> bool:
    """Whether `facts` name another bank account than the partner's: by its id, or what Stripe knows it by."""
    if facts["bank_account"] != partner.bank_account:
        return True
    held, seen = partner.bank_fingerprint, facts["bank_fingerprint"]
    return held is not None and seen is not None and held != seen
