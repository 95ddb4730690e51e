"""When a payment is settled: the bank can still return it for some days after Stripe calls it paid. Pure."""

from datetime import UTC, datetime, timedelta

SETTLE_DAYS = 5
"""Business days that a bank has to return a payout (Stripe's page on payouts; more where banks have holidays,
which nobody here knows)."""
WINDOW_MS = 8 * 86_400_000
"""Longer than SETTLE_DAYS ever are: what was paid before needs no closer look."""
_SATURDAY = 5


def settles_at_ms(paid_at_ms: int) -> int:
    """The same time of day, SETTLE_DAYS business days later (Monday to Friday, in UTC)."""
    at = datetime.fromtimestamp(paid_at_ms / 1000, UTC)
    days = 0
    while days < SETTLE_DAYS:
        at += timedelta(days=1)
        days += at.weekday() < _SATURDAY
    return int(at.timestamp()) * 1000 + paid_at_ms % 1000
