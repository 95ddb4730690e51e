"""A partner's schedule in words."""

from payouts.due_days import Schedule
from payouts.partner import NO_SCHEDULE

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def schedule_words(schedule: str, day: int | None) -> str | None:
    """`weekly, Monday`; None where a partner is paid only when somebody asks for it."""
    if schedule == NO_SCHEDULE:
        return None
    if schedule == Schedule.WEEKLY:
        return f"weekly, {DAYS[day or 0]}"
    return f"monthly, day {day}" if schedule == Schedule.MONTHLY else schedule
