"""A maintenance window: announced for a time, started and ended by people, or called off. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from payouts.clock import iso
from payouts.readiness import Stop

MAINTENANCE = "maintenance"
"""What a request says that it waits for, while maintenance is going on."""
SETTING = "MAINTENANCE_MODE"
"""The setting that starts the same by configuration."""
BY_SETTING = f"setting {SETTING}"
SETTING_TEXT = "maintenance"
"""What is said of maintenance that the setting alone holds on: nobody announced anything."""

TEXT_CHARS = 500
LONGEST_MS = 7 * 86_400_000
AHEAD_MOST_MS = 366 * 86_400_000
"""How far ahead a window may be announced: more is a slip of the pen."""
PAST_GRACE_MS = 60_000
"""A start that is "now" may have passed while it was typed."""
RETRY_LEAST_S, RETRY_MOST_S = 30, 3_600
"""Callers are told to come back at the announced end, but within these bounds: ends move."""


class WindowState(StrEnum):
    """Where a window stands."""

    ANNOUNCED = "announced"
    """Told of; nothing is stopped yet, whatever the time is."""
    STARTED = "started"
    """Nothing is sent, and the API answers 503, until somebody ends it, whatever the time is."""
    ENDED = "ended"
    CALLED_OFF = "called_off"
    """It never started."""


@dataclass(frozen=True, slots=True)
class Window:
    """A row of `maintenance_windows`; the fields are its columns."""

    id: int
    account: str
    open_key: str | None
    starts_at_ms: int
    ends_at_ms: int
    """As announced. What counts is when somebody starts and ends it."""
    text: str
    announced_at_ms: int
    announced_by: str
    started_at_ms: int | None = None
    started_by: str | None = None
    start_reason: str | None = None
    over_at_ms: int | None = None
    over_by: str | None = None
    over_reason: str | None = None

    @property
    def state(self) -> WindowState:
        """Where it stands."""
        if self.over_at_ms is not None:
            return WindowState.CALLED_OFF if self.started_at_ms is None else WindowState.ENDED
        return WindowState.ANNOUNCED if self.started_at_ms is None else WindowState.STARTED

    @property
    def span(self) -> str:
        """From when to when, for people."""
        return f"{iso(self.starts_at_ms)} to {iso(self.ends_at_ms)}"


def retry_after_s(window: Window | None, now_ms: int) -> int:
    """In how many seconds to ask again; None: the setting alone holds it, nobody knows for how long."""
    left_s = 0 if window is None else -(-(window.ends_at_ms - now_ms) // 1000)
    return max(RETRY_LEAST_S, min(left_s, RETRY_MOST_S))


def maintenance_stop(window: Window | None) -> Stop:
    """Why nothing is sent; None: by the setting alone."""
    if window is None:
        return Stop(MAINTENANCE, f"maintenance is on by {SETTING}=true: nothing is sent until it is off")
    until = iso(window.ends_at_ms)
    return Stop(
        MAINTENANCE,
        f"maintenance, announced until {until}, was started by {window.started_by}: {window.text}",
    )
