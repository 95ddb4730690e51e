"""What reconciling finds: a difference between our books and Stripe's, or something that takes too long."""

from dataclasses import dataclass
from enum import StrEnum


class DifferenceKind(StrEnum):
    """What differs. The subject of the first group is an object of Stripe's, by its id."""

    MISSING_AT_STRIPE = "missing_at_stripe"
    """We hold an object that Stripe does not have."""
    MISSING_HERE = "missing_here"
    """Stripe has an object that names a leg of ours in its metadata, and there is no such leg."""
    NOT_SEEN = "not_seen"
    """Stripe has a payout that no event told of."""
    SECOND_OBJECT = "second_object"
    """Stripe has two objects for one leg: perhaps paid twice."""
    LEG_OPEN = "leg_open"
    """Stripe has made the object of a leg that is open here."""
    AMOUNT = "amount"
    """Amount or currency differ."""
    DESTINATION = "destination"
    """A transfer went to another account than its leg says."""
    STATUS = "status"
    """The states of a payout differ."""
    REVERSED_AMOUNT = "reversed_amount"
    """Another part of a transfer was reversed than our books say."""

    PLATFORM_BALANCE = "platform_balance"
    """The platform's balance differs from the ledger."""
    ACCOUNT_BALANCE = "account_balance"
    """A partner's account holds less than our books say. More is the partner's own."""
    UNREADABLE = "unreadable"
    """Stripe shows us nothing of the account."""

    REQUEST_STUCK = "request_stuck"
    """A request is longer in its state than that allows."""
    PAYOUT_OVERDUE = "payout_overdue"
    """A payout is past its day of arrival, and not paid."""
    PAYOUT_SILENT = "payout_silent"
    """A payout was made, and no event came of it."""
    ATTEMPT_OPEN = "attempt_open"
    """What became of a call is not known, and its key is too old to repeat it."""
    RETURNED_RESTRICTED = "returned_restricted"
    """Money came back for a partner that cannot be paid."""


K = DifferenceKind
OBJECT_KINDS = frozenset(
    {
        *(K.MISSING_AT_STRIPE, K.MISSING_HERE, K.NOT_SEEN, K.SECOND_OBJECT, K.LEG_OPEN, K.AMOUNT),
        *(K.DESTINATION, K.STATUS, K.REVERSED_AMOUNT),
    }
)
BALANCE_KINDS = frozenset({K.PLATFORM_BALANCE, K.ACCOUNT_BALANCE})
OVERDUE_KINDS = frozenset(
    {K.REQUEST_STUCK, K.PAYOUT_OVERDUE, K.PAYOUT_SILENT, K.ATTEMPT_OPEN, K.RETURNED_RESTRICTED}
)
"""Found in our own books, without asking Stripe."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference as it was seen once. `remedy`: the command to go on with."""

    kind: DifferenceKind
    account: str
    """Whose object or balance it is at Stripe; a transfer is the platform's."""
    subject: str
    text: str
    remedy: str
    currency: str | None = None
    ours: str | None = None
    theirs: str | None = None

    @property
    def open_key(self) -> str:
        """What makes it the same difference when it is seen again."""
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of `differences`; the fields are its columns."""

    id: int
    account: str
    kind: DifferenceKind
    subject: str
    currency: str | None
    ours: str | None
    theirs: str | None
    text: str
    remedy: str
    first_seen_ms: int
    last_seen_ms: int
    healed_at_ms: int | None
    healed_how: str | None
    open_key: str | None
    """None: healed."""
