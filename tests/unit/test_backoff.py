"""Waits between attempts: they double, are drawn at random within bounds, and end at an hour."""

from hypothesis import given
from hypothesis import strategies as st

from payouts.backoff import FIRST_MS, LONGEST_MS, retry_delay_ms


@given(attempt=st.integers(1, 10**6))
def test_a_wait_is_between_half_and_all_of_its_step(attempt: int) -> None:
    step = LONGEST_MS if attempt > 11 else min(FIRST_MS * 2 ** (attempt - 1), LONGEST_MS)
    assert retry_delay_ms(attempt, spread=0) == step // 2
    assert retry_delay_ms(attempt, spread=1) == step
    assert step // 2 <= retry_delay_ms(attempt) <= step


def test_waits_begin_at_two_seconds_and_double_to_an_hour() -> None:
    waits = [retry_delay_ms(attempt, spread=1) for attempt in range(1, 16)]
    assert waits[:4] == [2_000, 4_000, 8_000, 16_000]
    assert waits[-1] == 3_600_000
    assert waits == sorted(waits)


def test_fifteen_attempts_span_hours_and_not_days() -> None:
    hours = sum(retry_delay_ms(attempt, spread=0.5) for attempt in range(1, 15)) / 3_600_000
    assert 2 < hours < 6


def test_what_failed_together_does_not_come_back_together() -> None:
    assert len({retry_delay_ms(8) for _ in range(50)}) > 20
