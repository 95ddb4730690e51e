"""On which days a schedule asks for a payout. Pure; a day is one of UTC."""

import calendar
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

DAY_MS = 86_400_000
LONGEST_MONTH_DAYS = 31


class Schedule(StrEnum):
    """How often a partner is paid without being asked for."""

    DAILY = "daily"
    WEEKLY = "weekly"
    """On a day of the week: 0 is Monday."""
    MONTHLY = "monthly"
    """On a day of the month, 1 to 31; in a shorter month on its last day."""


def is_due(schedule: Schedule, day_of: int | None, on: date) -> bool:
    """Whether `schedule`, with its day of week or month, asks for a payout on that day."""
    if schedule == Schedule.DAILY:
        return True
    if schedule == Schedule.WEEKLY:
        return on.weekday() == (day_of or 0)
    last = calendar.monthrange(on.year, on.month)[1]
    return on.day == min(day_of or 1, last)


def was_due(schedule: Schedule, day_of: int | None, after: date | None, until: date) -> bool:
    """Whether a payout was due on `until` or on a day before it that comes after `after`, the last day that
    was seen to. Without one only `until` itself counts."""
    days = 1 if after is None else min((until - after).days, LONGEST_MONTH_DAYS)
    # No schedule is silent for longer than a month: days before that cannot be the only due one.
    return any(is_due(schedule, day_of, until - timedelta(days=back)) for back in range(days))


def day_of_ms(at_ms: int) -> date:
    """The day that `at_ms` lies in."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def day_start_ms(at_ms: int) -> int:
    """When the day began that `at_ms` lies in."""
    return at_ms - at_ms % DAY_MS
