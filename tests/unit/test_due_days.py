"""Schedules name the right days, at the end of a month and after days that were missed."""

import calendar
import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.due_days import Schedule, day_of_ms, day_start_ms, is_due, was_due

DAYS = st.dates(min_value=date(2025, 1, 1), max_value=date(2033, 12, 31))
SCHEDULES = st.one_of(
    st.tuples(st.just(Schedule.DAILY), st.none()),
    st.tuples(st.just(Schedule.WEEKLY), st.integers(0, 6)),
    st.tuples(st.just(Schedule.MONTHLY), st.integers(1, 31)),
)


@pytest.mark.parametrize(
    ("day", "on"),
    [
        (31, date(2026, 1, 31)),
        (31, date(2026, 2, 28)),
        (30, date(2028, 2, 29)),
        (29, date(2026, 2, 28)),
        (31, date(2026, 4, 30)),
        (15, date(2026, 2, 15)),
    ],
)
def test_a_monthly_day_that_a_month_lacks_is_its_last_day(day: int, on: date) -> None:
    assert is_due(Schedule.MONTHLY, day, on)
    assert not is_due(Schedule.MONTHLY, day, on - timedelta(days=1))
    assert not is_due(Schedule.MONTHLY, day, on + timedelta(days=1))


@given(st.integers(1, 31), st.integers(2025, 2100), st.integers(1, 12))
def test_every_month_has_exactly_one_due_day(day: int, year: int, month: int) -> None:
    last = calendar.monthrange(year, month)[1]
    due = [on for on in range(1, last + 1) if is_due(Schedule.MONTHLY, day, date(year, month, on))]
    assert due == [min(day, last)]


@given(DAYS, st.integers(0, 6))
def test_of_seven_days_in_a_row_exactly_one_is_due_weekly_and_it_has_that_name(first: date, day: int) -> None:
    due = [on for back in range(7) if is_due(Schedule.WEEKLY, day, on := first + timedelta(days=back))]
    assert [calendar.day_name[on.weekday()] for on in due] == [calendar.day_name[day]]


@given(SCHEDULES, DAYS, st.integers(1, 400))
def test_after_missed_days_it_is_due_if_any_of_them_was(
    schedule: tuple[Schedule, int | None], after: date, gap: int
) -> None:
    until = after + timedelta(days=gap)
    missed = [after + timedelta(days=1 + number) for number in range(gap)]
    assert was_due(*schedule, after, until) == any(is_due(*schedule, day) for day in missed)


@given(SCHEDULES, DAYS, st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_however_often_it_is_looked_no_due_day_counts_twice_and_none_is_lost(
    schedule: tuple[Schedule, int | None], first: date, gaps: list[int]
) -> None:
    looks = [first]
    for gap in gaps:
        looks.append(looks[-1] + timedelta(days=gap))
    asked = sum(was_due(*schedule, after, until) for after, until in itertools.pairwise(looks))
    due = [
        on
        for back in range(1, (looks[-1] - first).days + 1)
        if is_due(*schedule, on := first + timedelta(days=back))
    ]
    spans = {next(index for index, look in enumerate(looks) if on <= look) for on in due}
    assert asked == len(spans)


@given(SCHEDULES, DAYS)
def test_what_was_looked_at_today_is_not_due_again_today(
    schedule: tuple[Schedule, int | None], today: date
) -> None:
    assert not was_due(*schedule, today, today)


def test_without_a_run_before_only_the_day_itself_counts() -> None:
    assert was_due(Schedule.WEEKLY, 0, None, date(2026, 11, 23))
    assert not was_due(Schedule.WEEKLY, 0, None, date(2026, 11, 24))


def test_a_day_begins_at_midnight_utc() -> None:
    midnight_ms = 1_795_564_800_000  # 2026-11-25T00:00:00Z
    assert day_start_ms(midnight_ms) == day_start_ms(midnight_ms + 86_399_999) == midnight_ms
    assert day_of_ms(midnight_ms - 1) == date(2026, 11, 24)
    assert day_of_ms(midnight_ms) == date(2026, 11, 25)
