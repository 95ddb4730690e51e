"""When operators are reminded of maintenance, and partners are written to."""

import dataclasses

import pytest

from payouts.timetable import (
    DAY_MS,
    HOUR_MS,
    WATCHED_MS,
    reminders,
    report_is_due,
    takes_it_back,
    writes_to_partners,
)
from payouts.window import Window

START_MS = 1_790_000_000_000
END_MS = START_MS + 2 * HOUR_MS
ANNOUNCED = Window(5, "platform", "open", START_MS, END_MS, "a new database", START_MS - 3 * DAY_MS, "anna")
STARTED = dataclasses.replace(ANNOUNCED, started_at_ms=START_MS, started_by="anna")
ENDED = dataclasses.replace(STARTED, open_key=None, over_at_ms=END_MS)
CALLED_OFF = dataclasses.replace(ANNOUNCED, open_key=None, over_at_ms=START_MS - HOUR_MS)


@pytest.mark.parametrize(
    ("before_h", "steps"),
    [(24.01, []), (24, ["day_before"]), (2, ["day_before"]), (1, ["hour_before"]), (0, ["hour_before"])],
)
def test_the_steps_before_come_when_their_time_has_come(before_h: float, steps: list[str]) -> None:
    now_ms = START_MS - int(before_h * HOUR_MS)
    assert [due.step for due in reminders(ANNOUNCED, now_ms)] == steps


def test_what_did_not_begin_is_told_of_for_a_day_and_then_forgotten() -> None:
    late = START_MS + HOUR_MS
    assert [due.step for due in reminders(ANNOUNCED, late)] == ["not_started"]
    assert list(reminders(ANNOUNCED, late + DAY_MS)) == []


def test_maintenance_that_goes_on_past_its_end_is_told_of() -> None:
    assert list(reminders(STARTED, END_MS - 1)) == []
    assert [due.step for due in reminders(STARTED, END_MS)] == ["overrun"]


def test_a_start_that_moves_is_reminded_of_again() -> None:
    moved = dataclasses.replace(ANNOUNCED, starts_at_ms=START_MS + HOUR_MS)
    now_ms = START_MS - 2 * HOUR_MS
    (first,), (second,) = reminders(ANNOUNCED, now_ms), reminders(moved, now_ms)
    assert first.occasion != second.occasion


def test_partners_are_written_to_a_day_before_and_never_after_the_end() -> None:
    assert not writes_to_partners(ANNOUNCED, START_MS - DAY_MS - 1)
    assert writes_to_partners(ANNOUNCED, START_MS - DAY_MS)
    assert not writes_to_partners(ANNOUNCED, END_MS)
    assert not writes_to_partners(STARTED, START_MS)


def test_what_is_called_off_is_taken_back_within_a_day() -> None:
    assert takes_it_back(CALLED_OFF, START_MS, START_MS)
    assert not takes_it_back(CALLED_OFF, START_MS, START_MS + DAY_MS)
    assert not takes_it_back(ENDED, START_MS, END_MS)


def test_a_start_that_is_none_any_more_is_taken_back_but_not_while_nothing_is_paid() -> None:
    before_ms = START_MS - DAY_MS
    assert takes_it_back(ANNOUNCED, before_ms, before_ms)
    assert not takes_it_back(ANNOUNCED, START_MS, before_ms)
    assert not takes_it_back(STARTED, before_ms, START_MS)
    assert takes_it_back(ENDED, before_ms, END_MS)
    assert not takes_it_back(ANNOUNCED, before_ms, START_MS), "that day is over"


def test_the_report_follows_half_an_hour_after_the_end() -> None:
    assert not report_is_due(ENDED, END_MS + WATCHED_MS - 1)
    assert report_is_due(ENDED, END_MS + WATCHED_MS)
    assert not report_is_due(ENDED, END_MS + WATCHED_MS + DAY_MS)
    assert not report_is_due(CALLED_OFF, END_MS + WATCHED_MS)
    assert not report_is_due(STARTED, END_MS + WATCHED_MS)
