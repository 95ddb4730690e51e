"""The states of a payout and of an event in the inbox: one enum each, one table of transitions."""

from enum import StrEnum


class PayoutStatus(StrEnum):
    """The business state of a payout.

    It comes from the payout object's `status` (and `reversed_by`), never from an event's type.
    """

    PENDING = "pending"
    """Created at Stripe, not sent yet. Entered at creation; left for in_transit, failed or canceled."""
    IN_TRANSIT = "in_transit"
    """On its way to the bank. Entered when Stripe submits it; left for paid, failed or canceled."""
    PAID = "paid"
    """Expected at the bank. Left for failed (a late bank return) or reversed."""
    REVERSED = "reversed"
    """Paid, then taken back by a reversal (`reversed_by`). Stays, even where that reversal fails later."""
    FAILED = "failed"
    """The bank refused or returned it; the funds are back at the account."""
    CANCELED = "canceled"
    """Stopped before it was sent; the funds never left."""


RANK: dict[PayoutStatus | None, float] = {
    None: -1,
    PayoutStatus.PENDING: 0,
    PayoutStatus.IN_TRANSIT: 1,
    PayoutStatus.PAID: 2,
    PayoutStatus.REVERSED: 2.5,
    PayoutStatus.FAILED: 3,
    PayoutStatus.CANCELED: 3,
}
"""How far along a state is. None: a payout that was seen, whose state is not known yet."""

TRANSITIONS: frozenset[tuple[PayoutStatus | None, PayoutStatus]] = frozenset(
    (old, new) for old in RANK for new in PayoutStatus if RANK[new] > RANK[old]
)
"""Every move that an event alone may make: to any higher rank, skipped steps included."""

CONFIRMED_TRANSITIONS: frozenset[tuple[PayoutStatus, PayoutStatus]] = frozenset(
    {(PayoutStatus.FAILED, PayoutStatus.CANCELED), (PayoutStatus.CANCELED, PayoutStatus.FAILED)}
)
"""Moves made only after Stripe was asked: two ends that contradict each other."""

DOMAIN_EVENT: dict[PayoutStatus, str] = {
    PayoutStatus.PENDING: "payout.created",
    PayoutStatus.IN_TRANSIT: "payout.in_transit",
    PayoutStatus.PAID: "payout.completed",
    PayoutStatus.REVERSED: "payout.reversed",
    PayoutStatus.FAILED: "payout.failed",
    PayoutStatus.CANCELED: "payout.canceled",
}
"""The outbox row written for the state reached."""


class EventStatus(StrEnum):
    """Where an event of the inbox stands."""

    RECEIVED = "received"
    """Durable, waiting to be applied. Entered on receipt; left by a worker."""
    RETRYING = "retrying"
    """An attempt failed; due again at `due_at_ms`. Left by the next attempt."""
    DEFERRED = "deferred"
    """Waits for something outside itself (an answer of Stripe's, a setting). Not counted as an attempt."""
    APPLIED = "applied"
    """It changed a payout. Final."""
    IGNORED = "ignored"
    """Nothing to do, for the reason on the row. Final."""
    DEAD = "dead"
    """Attempts used up, or an error that cannot heal. Stays until an operator decides."""


OPEN_EVENT_STATUSES = (EventStatus.RECEIVED, EventStatus.RETRYING, EventStatus.DEFERRED)
"""Accepted and not finished: what the sweeper watches over."""
