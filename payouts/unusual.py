"""What is unusual about a payout, or a bank account, that a second person decides on. Pure.

Nothing here stops anything: it is what the person ought to look at before saying yes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from payouts.money import format_money
from payouts.partner import Partner
from payouts.readiness import UNUSABLE_BANK, still_wanted
from payouts.request import PayoutRequest
from payouts.states import RequestStatus

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BANK_NEW_MS = 14 * DAY_MS
"""A bank account that is known for less is called new."""
MANY = 5
"""So many payouts within a day, the one in question included, are many for one partner."""
HABIT = 3
"""After so many payouts a partner has a usual source."""
EARLIER_MOST = 200
"""Requests before the one in question that are looked at."""


class Oddity(StrEnum):
    """What can be unusual."""

    BANK_UNAPPROVED = "bank_unapproved"
    BANK_NEW = "bank_new"
    BANK_REPLACED = "bank_replaced"
    BANK_UNUSABLE = "bank_unusable"
    FIRST_PAYOUT = "first_payout"
    LARGEST = "largest"
    MANY = "many"
    OTHER_SOURCE = "other_source"
    REQUIREMENTS = "requirements"


@dataclass(frozen=True, slots=True)
class Unusual:
    """One judgement; `text` is for people."""

    code: Oddity
    text: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A request of the partner that came before the one in question."""

    amount_minor: int
    currency: str
    status: str
    source: str
    created_at_ms: int


def about_request(
    request: PayoutRequest, partner: Partner, earlier: Sequence[Earlier], *, was_paid: bool, now_ms: int
) -> list[Unusual]:
    """What is unusual about `request`.

    `earlier`: the partner's requests before it, newest first, EARLIER_MOST at most. `was_paid`: whether any
    payout to the partner was ever paid, however long ago.
    """
    return [
        *_bank(partner, now_ms),
        *_amount(request, earlier, was_paid),
        *_pace(request, earlier),
        *_source(request, earlier),
        *_requirements(partner),
    ]


def about_bank_account(partner: Partner, now_ms: int) -> list[Unusual]:
    """What is unusual about the bank account that `partner` has now."""
    return [*_bank(partner, now_ms), *_requirements(partner)]


def _bank(partner: Partner, now_ms: int) -> Iterator[Unusual]:
    bank = partner.bank_account
    if not bank:
        return
    name = partner.bank_label or bank
    if partner.bank_approved != bank:
        yield Unusual(Oddity.BANK_UNAPPROVED, f"nobody has approved its bank account {name}")
        if partner.bank_approved:
            yield Unusual(Oddity.BANK_REPLACED, "another bank account was approved before, and replaced")
    if partner.bank_since_ms is not None and now_ms - partner.bank_since_ms < BANK_NEW_MS:
        since = _length(now_ms - partner.bank_since_ms)
        yield Unusual(Oddity.BANK_NEW, f"its bank account {name} is known for {since} only")
    if partner.bank_status in UNUSABLE_BANK:
        yield Unusual(Oddity.BANK_UNUSABLE, f"Stripe says that {name} cannot be used: {partner.bank_status}")


def _amount(request: PayoutRequest, earlier: Sequence[Earlier], was_paid: bool) -> Iterator[Unusual]:
    if not was_paid:
        yield Unusual(Oddity.FIRST_PAYOUT, "it is the first payout to this partner: none was ever paid")
        return
    paid = [
        one.amount_minor
        for one in earlier
        if one.status == RequestStatus.PAID and one.currency == request.currency
    ]
    if not paid or request.amount_minor <= max(paid):
        return
    among = f" among its last {EARLIER_MOST}" if len(earlier) >= EARLIER_MOST else ""
    largest = format_money(max(paid), request.currency)
    yield Unusual(
        Oddity.LARGEST,
        f"it is larger than any that was paid{among}: {_times(request.amount_minor, max(paid))} "
        f"the largest, {largest}",
    )


def _pace(request: PayoutRequest, earlier: Sequence[Earlier]) -> Iterator[Unusual]:
    since_ms = request.created_at_ms - DAY_MS
    number = 1 + sum(one.created_at_ms > since_ms for one in earlier)
    if number >= MANY:
        yield Unusual(Oddity.MANY, f"it is the {number}th payout requested for this partner within 24 h")


def _source(request: PayoutRequest, earlier: Sequence[Earlier]) -> Iterator[Unusual]:
    sources = Counter(one.source for one in earlier)
    if len(earlier) < HABIT or request.source in sources:
        return
    usual, times = sources.most_common(1)[0]
    yield Unusual(
        Oddity.OTHER_SOURCE,
        f"it was requested by {request.source}; {times} of the {len(earlier)} before it by {usual}, "
        f"none by {request.source}",
    )


def _requirements(partner: Partner) -> Iterator[Unusual]:
    wants = still_wanted(partner).removeprefix("; ")
    if wants:
        yield Unusual(Oddity.REQUIREMENTS, wants)


def _times(amount_minor: int, other_minor: int) -> str:
    """`1.5 times`, rounded down to a tenth: never more than it is."""
    tenths = amount_minor * 10 // other_minor
    return "a little more than" if tenths <= 10 else f"{tenths // 10}.{tenths % 10} times"


def _length(ms: int) -> str:
    hours = max(0, ms) // HOUR_MS
    if hours < 1:
        return "less than an hour"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
