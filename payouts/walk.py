"""A walk through the events that Stripe lists of an account: why, which, and how far it is."""

from dataclasses import dataclass
from enum import StrEnum


class Recipe(StrEnum):
    """Which events are listed."""

    FAILED = "failed"
    """Those that at least one webhook endpoint has not taken: few, so cheap."""
    ALL = "all"
    """All; finds what was acknowledged and lost, too."""


class Cause(StrEnum):
    """Why a walk began."""

    SCHEDULE = "schedule"
    GAP = "gap"
    """For a while no event came, or the scheduler did not run."""
    COMMAND = "command"
    PROOF = "proof"


class WalkStatus(StrEnum):
    """Where a walk stands."""

    UNDER_WAY = "under_way"
    DONE = "done"
    FAILED = "failed"
    """Stripe will not list these events, whoever asks again."""
    GIVEN_UP = "given_up"
    """Somebody asked for another walk instead."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A row of `catch_up_walks`; the fields are its columns."""

    id: int
    account: str
    open_key: str | None
    cause: Cause
    actor: str
    recipe: Recipe
    all_types: bool
    since_s: int
    until_s: int
    cut: bool
    advances: bool
    position: str | None
    reached_s: int
    listed: int
    known: int
    added: int
    unreadable: int
    reads: int
    tries: int
    error: str | None
    tally: str | None
    status: WalkStatus
    due_at_ms: int
    began_at_ms: int
    ended_at_ms: int | None

    @property
    def is_open(self) -> bool:
        """Whether there is more of it to walk."""
        return self.status == WalkStatus.UNDER_WAY
