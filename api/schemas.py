"""What goes in and comes out, as JSON. Amounts are whole minor units, times ISO 8601, ids text."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from payouts.money import AMOUNT_BELOW_MINOR
from payouts.partner import PartnerState
from payouts.states import RequestStatus

PAGE_DEFAULT, PAGE_MOST = 20, 100

Amount = Annotated[int, Meta(gt=0, lt=AMOUNT_BELOW_MINOR, description="minor units, as cents")]
SignedAmount = Annotated[
    int,
    Meta(gt=-AMOUNT_BELOW_MINOR, lt=AMOUNT_BELOW_MINOR, description="minor units; less than 0: a debit"),
]
Currency = Annotated[str, Meta(pattern="^[A-Za-z]{3}$", description="ISO code, as eur")]
Reference = Annotated[str, Meta(min_length=1, max_length=128, description="your own name for it")]
When = Annotated[datetime, Meta(tz=True)]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MOST)]
Before = Annotated[
    str, Meta(pattern="^[0-9]{1,19}$", description="the `next` of the page before, for the one after")
]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is sent: a field that does not exist is refused, never overlooked."""


class NewPartner(Body):
    """Somebody to pay. The same again changes nothing."""

    reference: Reference
    account: Annotated[str, Meta(pattern="^acct_[A-Za-z0-9]{1,59}$", description="its Stripe account")]
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    email: Annotated[str, Meta(max_length=320, pattern=r"^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$")]
    currency: Currency


class NewCredit(Body):
    """What a partner earned or, with less than 0, what is taken back."""

    amount_minor: SignedAmount
    currency: Currency
    reference: Annotated[str, Meta(min_length=1, max_length=100, description="unique for the partner")]
    description: Annotated[str, Meta(max_length=255)] | None = None
    effective_at: When | None = None
    """When it counts, for statements; else now."""


class NewPayout(Body):
    """An amount, or all that is due; never both."""

    partner: Annotated[str, Meta(min_length=1, max_length=128, description="its reference or acct_…")]
    currency: Currency
    amount_minor: Amount | None = None
    all_due: bool = False
    reference: Reference | None = None
    statement_descriptor: Annotated[str, Meta(min_length=1, max_length=22)] | None = None

    def __post_init__(self) -> None:
        if (self.amount_minor is None) != self.all_due:
            raise ValueError("say how much: either amount_minor, or all_due as true")


class Cancelation(Body):
    """Why a payout is called off; it stays on record."""

    reason: Annotated[str, Meta(min_length=1, max_length=255)]


class PageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which part of a list. What is left out is UNSET, not None: `null` in an address is a word like any."""

    limit: Limit = PAGE_DEFAULT
    before: Before | UnsetType = UNSET


class PayoutQuery(PageQuery):
    """Which payouts."""

    partner: Annotated[str, Meta(description="its reference or acct_…")] | UnsetType = UNSET
    status: RequestStatus | UnsetType = UNSET


class Partner(msgspec.Struct, kw_only=True):
    """A partner as it is kept."""

    reference: str
    account: str
    name: str
    email: str
    email_bounced_at: When | None
    """Since when nothing is written to the address, for mail came back from it."""
    currency: str
    state: PartnerState
    state_reason: str | None
    bank_account: str | None
    """What people recognise it by: bank and last four digits."""
    schedule: str
    created_at: When
    updated_at: When


class Balance(msgspec.Struct, kw_only=True):
    """Where a partner's claim stands. `payable_minor`: the most that one payout can be over now."""

    partner: str
    currency: str
    owed_minor: int
    payable_minor: int
    in_transit_minor: int
    paid_minor: int
    returned_minor: int


class Line(msgspec.Struct, kw_only=True):
    """One change of a partner's claim, by how much each part of it changed."""

    id: str
    kind: str
    reference: str
    description: str | None
    payout: str | None
    owed_minor: int
    in_transit_minor: int
    paid_minor: int
    returned_minor: int
    effective_at: When
    posted_at: When


class Credit(msgspec.Struct, kw_only=True):
    """A credit or a debit as it was posted."""

    id: str
    partner: str
    amount_minor: int
    currency: str
    reference: str
    description: str | None
    effective_at: When
    posted_at: When


class Payout(msgspec.Struct, kw_only=True):
    """A requested payout and where it stands."""

    id: Annotated[str, Meta(pattern="^pay_[0-9]+$")]
    partner: str
    amount_minor: int
    currency: str
    status: RequestStatus
    waits_for: str | None
    """Why it does not go out although it may, as a code; `waits_for_text` says it in words."""
    waits_for_text: str | None
    needs_approval: bool
    reference: str | None
    statement_descriptor: str | None
    requested_by: str
    stripe_transfer: str | None
    stripe_payout: str | None
    created_at: When
    updated_at: When
    sent_at: When | None


class Page(msgspec.Struct, kw_only=True):
    """A part of a list, newest first. `next`: what to give as `before` for the part after it."""

    has_more: bool
    next: str | None


class PartnerPage(Page):
    """Partners, newest first."""

    data: list[Partner]


class LinePage(Page):
    """Changes of a claim, newest first."""

    data: list[Line]


class PayoutPage(Page):
    """Payouts, newest first."""

    data: list[Payout]


class Maintenance(msgspec.Struct, kw_only=True):
    """Maintenance that is announced or going on. The times are as announced, and may change."""

    status: Literal["none", "announced", "started"]
    id: str | None = None
    starts_at: When | None = None
    ends_at: When | None = None
    text: str | None = None
    """What people are to be told."""
    announced_at: When | None = None
    started_at: When | None = None


class Live(msgspec.Struct):
    """The process answers; nothing else was asked."""

    status: str
    version: str
