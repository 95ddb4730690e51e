"""What came of a batch of events, and what must be sent on once it is committed."""

from dataclasses import dataclass, field

from payouts.states import EventStatus, PayoutStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one event, for the log and the caller."""

    inbox_id: int
    event_id: str
    type: str
    status: EventStatus
    detail: str
    """Why, or what it changed: without ids, so that the same is said in the same words."""
    object_id: str | None = None
    waited_ms: int | None = None
    """How long it lay in the inbox; None where this was not the first look at it."""


@dataclass(slots=True)
class BatchResult:
    """What came of a batch, and what must be sent on once it is committed."""

    outcomes: list[Outcome] = field(default_factory=list)
    retries: list[tuple[int, int]] = field(default_factory=list)
    """(inbox id, delay in ms) of failed events to try again."""
    lookups: list[int] = field(default_factory=list)
    """Inbox ids of events that need an answer of Stripe's."""
    asked_again: list[int] = field(default_factory=list)
    """The same, of events that were through and are replayed: their rows stay as they are meanwhile."""
    not_run: list[int] = field(default_factory=list)
    """Events that were through, and could not be replayed: something outside is in the way."""
    requests: list[int] = field(default_factory=list)
    """Ids of requests that a worker may go on with."""
    moves: list[PayoutStatus] = field(default_factory=list)
    """What states payouts came to."""
    notices: int = 0
    """How many rows the outbox got, or more."""

    def extend(self, other: "BatchResult") -> None:
        """Add what came of another part of the same batch."""
        self.outcomes += other.outcomes
        self.retries += other.retries
        self.lookups += other.lookups
        self.asked_again += other.asked_again
        self.not_run += other.not_run
        self.requests += other.requests
        self.moves += other.moves
        self.notices += other.notices
