"""Time as the service sees it: milliseconds since the Unix epoch, in UTC."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

Clock = Callable[[], int]
CLOCKS_AGREE_MS = 2_000
"""The clocks of two machines that are no further apart are taken to agree."""


def now_ms() -> int:
    """The wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int | None) -> str | None:
    """`at_ms` as ISO 8601 in UTC with milliseconds, as `2026-01-31T12:00:00.000Z`; None stays None."""
    if at_ms is None:
        return None
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timed(work: Callable[[], object]) -> float:
    """How many ms `work` took. What it raises is raised."""
    began_s = time.monotonic()
    work()
    return (time.monotonic() - began_s) * 1000


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Another's clock, read between two moments of ours."""

    theirs_ms: int
    asked_at_ms: int
    answered_at_ms: int
    whole_ms: int = 1
    """How coarse it is: 1000 where it tells whole seconds."""

    @property
    def ahead_ms(self) -> int:
        """By how much it is ahead of ours at the least, negative where it is behind.

        0 where the time that the question took and its own coarseness may explain the whole of it.
        """
        if self.theirs_ms > self.answered_at_ms:
            return self.theirs_ms - self.answered_at_ms
        return min(0, self.theirs_ms + self.whole_ms - self.asked_at_ms)
