"""When what was paid is settled: five business days later, weekends left out."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.settling import WINDOW_MS, settles_at_ms


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("paid", "settled"),
    [
        ("2026-11-23T10:00", "2026-11-30T10:00"),  # Monday to Monday
        ("2026-11-27T10:00", "2026-12-04T10:00"),  # Friday to Friday
        ("2026-11-28T10:00", "2026-12-04T10:00"),  # Saturday, to the same Friday
        ("2026-11-29T23:59", "2026-12-04T23:59"),  # Sunday
    ],
)
def test_a_payment_settles_five_business_days_later(paid: str, settled: str) -> None:
    assert settles_at_ms(ms(paid)) == ms(settled)


@given(st.integers(0, 4_000_000_000_000))
def test_it_takes_at_least_five_days_and_less_than_the_window_that_is_looked_at(paid_at_ms: int) -> None:
    assert 5 * 86_400_000 <= settles_at_ms(paid_at_ms) - paid_at_ms < WINDOW_MS
