"""The ledger: what moves between which ledger accounts when something happens. Pure, no database.

Two flows are kept side by side, each in double entry. The *claim*: what the platform owes a partner, from its
credit to the payment (`credits → owed → in_transit → paid`, or `returned`; `overpaid` is what a bank got
beyond its requests). The *cash*: where the money lies (`funding → stripe_balance → at_stripe → at_bank`). A
movement takes from one ledger account and gives to another, so every transaction sums to zero, and balances
are sums of postings. Nothing is ever changed or removed: a correction is a new transaction.
"""

from dataclasses import dataclass
from enum import StrEnum

from payouts.states import PayoutStatus


class LedgerKind(StrEnum):
    """The kinds of ledger accounts: each once for a currency, for every partner or for the platform."""

    OWED = "owed"
    """Of a partner: earned and not asked for yet. What a payout can be requested from."""
    IN_TRANSIT = "in_transit"
    """Of a partner: requested, and neither paid nor given back."""
    PAID = "paid"
    """Of a partner: arrived at the bank, as far as Stripe knows."""
    RETURNED = "returned"
    """Of a partner: came back from the bank to its Stripe account. Sent again or taken back by a person."""
    OVERPAID = "overpaid"
    """Of a partner: at its bank, and of none of its requests. A reversal failed after the money that it had
    brought back was sent again or taken back. What is owed is less by as much, so the partner gives it back
    out of what it earns next."""
    AT_STRIPE = "at_stripe"
    """Of a partner: our money in the balance of its Stripe account."""
    AT_BANK = "at_bank"
    """Of a partner: money that left for its bank account."""
    CREDITS = "credits"
    """The platform's: where credits come from and debits go to. As negative as was credited in all."""
    FUNDING = "funding"
    """The platform's: where its Stripe balance is filled up from."""
    STRIPE_BALANCE = "stripe_balance"
    """The platform's balance at Stripe."""
    FEES = "fees"
    """The platform's: what Stripe kept."""


PLATFORM_KINDS = frozenset(
    {LedgerKind.CREDITS, LedgerKind.FUNDING, LedgerKind.STRIPE_BALANCE, LedgerKind.FEES}
)
PARTNER_KINDS = frozenset(LedgerKind) - PLATFORM_KINDS


@dataclass(frozen=True, slots=True)
class Movement:
    """So many minor units, more than none, out of `source` and into `target`."""

    source: LedgerKind
    target: LedgerKind
    amount_minor: int

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError(f"a movement is over more than nothing, not {self.amount_minor}")
        if self.source == self.target:
            raise ValueError(f"a movement from {self.source} to itself moves nothing")

    def reversed(self) -> "Movement":
        """The movement that undoes this one."""
        return Movement(self.target, self.source, self.amount_minor)


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction of the ledger: movements of one partner in one currency, with their cause.

    `reference` names the cause and is posted once: the same reference with the same content changes
    nothing, with other content it is an error. `effective_at_ms`: when it counts, for statements.
    """

    kind: str
    reference: str
    account: str
    partner_id: int
    currency: str
    movements: tuple[Movement, ...]
    effective_at_ms: int
    request_id: int | None = None
    payout_id: int | None = None
    description: str | None = None
    actor: str | None = None

    def sums(self) -> dict[LedgerKind, int]:
        """What the transaction adds to each ledger account; ledger accounts that end even are left out."""
        totals: dict[LedgerKind, int] = {}
        for move in self.movements:
            totals[move.source] = totals.get(move.source, 0) - move.amount_minor
            totals[move.target] = totals.get(move.target, 0) + move.amount_minor
        return {kind: total for kind, total in totals.items() if total}


def credit(amount_minor: int) -> tuple[Movement, ...]:
    """The portal says that a partner earned this."""
    return (Movement(LedgerKind.CREDITS, LedgerKind.OWED, amount_minor),)


def debit(amount_minor: int) -> tuple[Movement, ...]:
    """The portal takes back what was credited; what is owed may become negative."""
    return (Movement(LedgerKind.OWED, LedgerKind.CREDITS, amount_minor),)


def funding(amount_minor: int) -> tuple[Movement, ...]:
    """The platform's Stripe balance was filled up (a negative amount: drawn from)."""
    move = Movement(LedgerKind.FUNDING, LedgerKind.STRIPE_BALANCE, abs(amount_minor))
    return (move if amount_minor > 0 else move.reversed(),)


def requested(amount_minor: int) -> tuple[Movement, ...]:
    """A payout was requested: the claim is set aside, so that it cannot be requested twice."""
    return (Movement(LedgerKind.OWED, LedgerKind.IN_TRANSIT, amount_minor),)


def given_back(amount_minor: int) -> tuple[Movement, ...]:
    """A request ended before any money moved: what was set aside is owed again."""
    return (Movement(LedgerKind.IN_TRANSIT, LedgerKind.OWED, amount_minor),)


def transferred(amount_minor: int) -> tuple[Movement, ...]:
    """The transfer was made: the cash lies in the balance of the partner's Stripe account."""
    return (Movement(LedgerKind.STRIPE_BALANCE, LedgerKind.AT_STRIPE, amount_minor),)


def transfer_reversed(amount_minor: int) -> tuple[Movement, ...]:
    """A transfer came back to the platform, in whole or in part."""
    return (Movement(LedgerKind.AT_STRIPE, LedgerKind.STRIPE_BALANCE, amount_minor),)


def sent_again(amount_minor: int) -> tuple[Movement, ...]:
    """What was returned is on its way once more."""
    return (Movement(LedgerKind.RETURNED, LedgerKind.IN_TRANSIT, amount_minor),)


def taken_back(amount_minor: int) -> tuple[Movement, ...]:
    """What was returned is owed again: its transfer was reversed."""
    return (Movement(LedgerKind.RETURNED, LedgerKind.OWED, amount_minor),)


def paid_twice(amount_minor: int) -> tuple[Movement, ...]:
    """A reversal failed when the money that it had brought back had moved on. Posted beside the reversal's
    own postings, which put the claim back to `paid`: but that stands elsewhere by now. The partner has more
    than its claim, and is owed less for it. Undone by `paid_after_all`."""
    return (
        Movement(LedgerKind.PAID, LedgerKind.RETURNED, amount_minor),
        Movement(LedgerKind.OWED, LedgerKind.OVERPAID, amount_minor),
    )


def paid_after_all(amount_minor: int) -> tuple[Movement, ...]:
    """What was sent a second time came back, and the first payment stands: the claim is paid, once."""
    return tuple(move.reversed() for move in paid_twice(amount_minor))


@dataclass(frozen=True, slots=True)
class Step:
    """One posting on the way of a payout: its name, which is a part of its reference, and its movements."""

    name: str
    movements: tuple[Movement, ...]


def steps_of_payout(old: PayoutStatus | None, new: PayoutStatus, amount_minor: int) -> list[Step]:
    """The postings that bring the books from a payout's `old` state to its `new` one, skipped ones too.

    `amount_minor`: as Stripe gives it. A reversal's is negative, and its money goes the other way: it is
    credited again when the reversal is paid, and taken out again when that fails later.
    """
    if amount_minor == 0:
        return []
    if amount_minor < 0:
        return _steps_of_reversal(old, new, -amount_minor)
    kind = LedgerKind
    left = Movement(kind.AT_STRIPE, kind.AT_BANK, amount_minor)
    steps = []
    if old is None:
        steps.append(Step("created", (left,)))
    was_paid = old in _PAID
    if new in _PAID and not was_paid:
        steps.append(Step("paid", (Movement(kind.IN_TRANSIT, kind.PAID, amount_minor),)))
    if new in _FAILED and old not in _FAILED:
        from_kind = kind.PAID if was_paid else kind.IN_TRANSIT
        back = Movement(from_kind, kind.RETURNED, amount_minor)
        steps.append(Step(str(new), (back, left.reversed())))
    return steps


def _steps_of_reversal(old: PayoutStatus | None, new: PayoutStatus, amount_minor: int) -> list[Step]:
    # The original stays `reversed` whatever becomes of its reversal: the money follows the reversal.
    kind = LedgerKind
    back = (
        Movement(kind.PAID, kind.RETURNED, amount_minor),
        Movement(kind.AT_BANK, kind.AT_STRIPE, amount_minor),
    )
    was_paid = old in _PAID
    steps = []
    if new in _PAID and not was_paid:
        steps.append(Step("reversal_paid", back))
    if new in _FAILED and was_paid:
        steps.append(Step("reversal_failed", tuple(move.reversed() for move in back)))
    return steps


_PAID = frozenset({PayoutStatus.PAID, PayoutStatus.REVERSED})
_FAILED = frozenset({PayoutStatus.FAILED, PayoutStatus.CANCELED})
