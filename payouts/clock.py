"""Time as the service sees it: milliseconds since the Unix epoch, in UTC."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]


def now_ms() -> int:
    """The wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int | None) -> str | None:
    """`at_ms` as ISO 8601 in UTC with milliseconds, as `2026-01-31T12:00:00.000Z`; None stays None."""
    if at_ms is None:
        return None
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
