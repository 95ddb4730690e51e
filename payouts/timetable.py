"""What is to be done about announced maintenance, and when. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from payouts.clock import iso
from payouts.window import Window, WindowState

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WATCHED_MS = 30 * 60_000
"""For so long the service is watched after maintenance, before the report."""
FORGOTTEN_MS = DAY_MS
"""A step that is overdue for longer is not told of any more: nobody was there to."""
REMINDER, REPORT = "maintenance.reminder", "maintenance.report"


@dataclass(frozen=True, slots=True)
class Reminder:
    """Something for operators to do now. Told once for each `occasion`."""

    step: str
    text: str
    occasion: str


def reminders(window: Window, now_ms: int) -> Iterator[Reminder]:
    """The steps of a window that is not over whose time has come."""
    start, end, starts = window.starts_at_ms, window.ends_at_ms, iso(window.starts_at_ms)
    if window.state == WindowState.STARTED:
        if end <= now_ms < end + FORGOTTEN_MS:
            text = (
                f"maintenance was announced until {iso(end)}, and nothing is paid still: end it "
                "(`payouts maintenance end`), or say how long it takes (`payouts maintenance change --end`)"
            )
            yield Reminder("overrun", text, f"{window.id}:overrun:{end}")
        return
    if start - DAY_MS <= now_ms < start - HOUR_MS:
        text = (
            f"maintenance begins {starts}, within 24 hours: the portal shows it, partners with high activity "
            "are written to. Look at what is due meanwhile: `payouts status`"
        )
        yield Reminder("day_before", text, f"{window.id}:day:{start}")
    if start - HOUR_MS <= now_ms < start + HOUR_MS:
        text = (
            f"maintenance is announced for {starts}: start it within the hour before, so that what is under "
            "way at Stripe comes to its end (`payouts maintenance start --reason …`)"
        )
        yield Reminder("hour_before", text, f"{window.id}:hour:{start}")
    if start + HOUR_MS <= now_ms < start + HOUR_MS + FORGOTTEN_MS:
        text = (
            f"maintenance was announced for {starts} and has not begun: start it, change it or call it off "
            "(`payouts maintenance call-off`)"
        )
        yield Reminder("not_started", text, f"{window.id}:late:{start}")


def writes_to_partners(window: Window, now_ms: int) -> bool:
    """Whether partners are to be written to about it now."""
    is_near = window.starts_at_ms - DAY_MS <= now_ms < window.ends_at_ms
    return window.state == WindowState.ANNOUNCED and is_near


def stands_ms(window: Window) -> int | None:
    """The start that partners are to believe in; None: it does not take place."""
    return None if window.state == WindowState.CALLED_OFF else window.starts_at_ms


def follows_up(window: Window, now_ms: int) -> bool:
    """Whether partners who were written to may have to hear of what changed. While it is going on they do
    not: that payouts go out as usual would be wrong."""
    if window.state == WindowState.STARTED:
        return False
    return window.over_at_ms is None or now_ms < window.over_at_ms + FORGOTTEN_MS


def takes_it_back(window: Window, start_ms: int, now_ms: int) -> bool:
    """Whether partners who wait for `start_ms` are to hear that it does not take place then."""
    if not follows_up(window, now_ms) or start_ms == stands_ms(window):
        return False
    return now_ms < max(start_ms, window.over_at_ms or 0) + FORGOTTEN_MS


def report_is_due(window: Window, now_ms: int) -> bool:
    """Whether it is time to say how the service has been since it ended."""
    if window.state != WindowState.ENDED or window.over_at_ms is None:
        return False
    return window.over_at_ms + WATCHED_MS <= now_ms < window.over_at_ms + WATCHED_MS + FORGOTTEN_MS
