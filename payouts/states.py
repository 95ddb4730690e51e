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
    """Blocked: waits for something outside itself (an answer of Stripe's, a setting). Never counted as an
    attempt, so it never dies of waiting."""
    APPLIED = "applied"
    """It changed a payout. Final."""
    IGNORED = "ignored"
    """Nothing to do, for the reason on the row. Final."""
    DEAD = "dead"
    """Attempts used up, or an error that cannot heal. Stays until an operator decides."""
    DISMISSED = "dismissed"
    """Dead, and an operator decided to leave it at that, with a reason. Left where that is taken back."""


SETTLED_EVENT_STATUSES = (EventStatus.APPLIED, EventStatus.IGNORED)
"""Through. What a replay of such an event finds to be right stays as it was recorded."""

FAILED_EVENT_STATUSES = (EventStatus.DEAD, EventStatus.DISMISSED)
"""Failed for good, unless a person does something about it."""

OPEN_EVENT_STATUSES = (EventStatus.RECEIVED, EventStatus.RETRYING, EventStatus.DEFERRED)
"""Accepted and not finished: what the sweeper watches over."""


class RequestStatus(StrEnum):
    """Where a requested payout stands: what the portal asked for, whatever it takes at Stripe."""

    AWAITING_APPROVAL = "awaiting_approval"
    """A second person must approve it. Left by approval, rejection or cancelation."""
    QUEUED = "queued"
    """May be sent when it is due; `blocked` says what it waits for, if anything. Nothing has moved yet."""
    SENDING = "sending"
    """Its first call to Stripe was written down. Left when Stripe has the payout, or says no for good."""
    SENT = "sent"
    """Stripe has the payout; its events say what becomes of it."""
    PAID = "paid"
    """Expected at the bank. Left where the bank returns it."""
    RETURNED = "returned"
    """The transfer was made, and the payout failed or came back: the money lies in the partner's Stripe
    account. A person sends it again (`retry`) or takes it back (`reverse`)."""
    REVERSING = "reversing"
    """Its transfer is being taken back."""
    REVERSED = "reversed"
    """Its transfer was taken back; the amount is owed to the partner again. Final."""
    UNCLEAR = "unclear"
    """What came of a call to Stripe could not be found out in time: a person decides. Nothing is repeated."""
    FAILED = "failed"
    """Stripe refused it before any money moved; the amount is owed again. Final."""
    CANCELED = "canceled"
    """Called off before it was sent; the amount is owed again. Final."""
    REJECTED = "rejected"
    """A second person said no; the amount is owed again. Final."""
    SHADOWED = "shadowed"
    """Decided and posted, but not sent: this service runs beside the system before it. Final."""


REQUEST_TRANSITIONS: dict[RequestStatus | None, frozenset[RequestStatus]] = {
    None: frozenset({RequestStatus.AWAITING_APPROVAL, RequestStatus.QUEUED, RequestStatus.SENT}),
    RequestStatus.AWAITING_APPROVAL: frozenset(
        {RequestStatus.QUEUED, RequestStatus.REJECTED, RequestStatus.CANCELED}
    ),
    RequestStatus.QUEUED: frozenset(
        {
            RequestStatus.SENDING,
            RequestStatus.AWAITING_APPROVAL,
            RequestStatus.CANCELED,
            RequestStatus.SHADOWED,
        }
    ),
    RequestStatus.SENDING: frozenset(
        {
            RequestStatus.SENT,
            RequestStatus.PAID,
            RequestStatus.RETURNED,
            RequestStatus.UNCLEAR,
            RequestStatus.FAILED,
            RequestStatus.QUEUED,
        }
    ),
    RequestStatus.SENT: frozenset({RequestStatus.PAID, RequestStatus.RETURNED}),
    RequestStatus.PAID: frozenset({RequestStatus.RETURNED}),
    RequestStatus.RETURNED: frozenset(
        {RequestStatus.SENDING, RequestStatus.REVERSING, RequestStatus.REVERSED, RequestStatus.PAID}
    ),
    RequestStatus.REVERSING: frozenset(
        {RequestStatus.REVERSED, RequestStatus.RETURNED, RequestStatus.UNCLEAR}
    ),
    RequestStatus.UNCLEAR: frozenset(
        {
            RequestStatus.SENDING,
            RequestStatus.SENT,
            RequestStatus.PAID,
            RequestStatus.RETURNED,
            RequestStatus.REVERSING,
            RequestStatus.REVERSED,
            RequestStatus.FAILED,
        }
    ),
}
"""Every move of a requested payout; no key: final. Returned to paid: the reversal itself failed."""

OPEN_REQUEST_STATUSES = (RequestStatus.QUEUED, RequestStatus.SENDING, RequestStatus.REVERSING)
"""A worker has something to do for these, once they are due."""


class LegKind(StrEnum):
    """A step of a requested payout at Stripe."""

    TRANSFER = "transfer"
    """From the platform's balance to the balance of the partner's Stripe account."""
    PAYOUT = "payout"
    """From there to the partner's bank account."""
    REVERSAL = "reversal"
    """A transfer taken back."""


class LegStatus(StrEnum):
    """Where a leg stands."""

    OPEN = "open"
    """Begun; what came of it is not known yet."""
    DONE = "done"
    """Stripe has made the object."""
    FAILED = "failed"
    """Stripe refused it, or a payout failed or was canceled: another leg may follow."""
    REVERSED = "reversed"
    """A transfer that was taken back in whole."""


class AttemptStatus(StrEnum):
    """Where one attempt at a leg stands: one idempotency key and one frozen request."""

    OPEN = "open"
    """Written down, perhaps sent; its outcome is not known. Only ever repeated with the same key."""
    SUCCEEDED = "succeeded"
    """Stripe has what was asked for."""
    REFUSED = "refused"
    """Stripe said no, and nothing was made. A new attempt needs a new key."""
    RELEASED = "released"
    """A person found that nothing was made. A new attempt may follow."""
