"""Ages, clocks, processes: from when on waiting, drifting and silence are worth a line."""

import pytest

from payouts.clock import ClockReading
from payouts.doctor.ages import judge_events, judge_notices, judge_requests
from payouts.doctor.clocks import judge_clock
from payouts.doctor.finding import Check, Finding, Level
from payouts.doctor.processes import judge_processes, judge_queues
from payouts.doctor.watermark import judge_caught_up, judge_received
from payouts.storage.age_queries import COUNTED_MOST, Dead, Waiting
from payouts.storage.presence import Seen

NOW_MS = 1_790_000_000_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
NONE_DEAD = Dead(0, None)


def wrong(found: list[Finding]) -> list[tuple[Check, Level]]:
    assert all(each.remedy for each in found if each.level != Level.OK)
    return [(each.check, each.level) for each in found if each.level != Level.OK]


def waiting(status: str, age_ms: int, over_ms: int = -1_000, reason: str | None = None) -> Waiting:
    return Waiting(status, NOW_MS - age_ms, NOW_MS - over_ms, reason)


@pytest.mark.parametrize(
    ("each", "level"),
    [
        (waiting("received", 5_000, 5_000), None),
        (waiting("received", 2 * MINUTE_MS), Level.WARNING),
        (waiting("received", 20 * MINUTE_MS), Level.BAD),
        (waiting("retrying", 3 * HOUR_MS), None),
        (waiting("retrying", 3 * HOUR_MS, 10 * MINUTE_MS), Level.WARNING),
        (waiting("retrying", 3 * HOUR_MS, 2 * HOUR_MS), Level.BAD),
        (waiting("retrying", 30 * HOUR_MS), Level.WARNING),
        (waiting("deferred", 5 * MINUTE_MS), None),
        (waiting("deferred", 2 * HOUR_MS), Level.WARNING),
    ],
)
def test_open_events_are_worth_a_line_by_what_is_normal_for_their_status(
    each: Waiting, level: Level | None
) -> None:
    expected = [(Check.EVENTS_WAITING, level)] if level else []
    assert wrong(judge_events([each], NONE_DEAD, NOW_MS)) == expected


def test_an_event_that_waits_for_long_says_what_for() -> None:
    each = waiting("deferred", 2 * HOUR_MS, reason="waits for an API key")
    assert "waits for an API key" in judge_events([each], NONE_DEAD, NOW_MS)[0].text


def test_dead_events_and_notices_are_a_warning_with_their_number() -> None:
    found = judge_events([], Dead(12, NOW_MS - 3 * HOUR_MS), NOW_MS)
    assert wrong(found) == [(Check.EVENTS_DEAD, Level.WARNING)]
    assert "dead events: 12, the oldest for 3 h" in found[-1].text
    assert "10,000 or more" in judge_events([], Dead(COUNTED_MOST, NOW_MS), NOW_MS)[-1].text
    assert wrong(judge_notices([], Dead(1, NOW_MS), NOW_MS)) == [(Check.NOTICES_DEAD, Level.WARNING)]
    assert wrong(judge_events([], NONE_DEAD, NOW_MS) + judge_notices([], NONE_DEAD, NOW_MS)) == []


@pytest.mark.parametrize(
    ("over_ms", "level"),
    [
        (-HOUR_MS, None),  # blocked, and looked at again in an hour
        (MINUTE_MS, None),
        (10 * MINUTE_MS, Level.WARNING),
        (2 * HOUR_MS, Level.BAD),
    ],
)
def test_a_queued_payout_is_late_by_when_it_was_due(over_ms: int, level: Level | None) -> None:
    found = judge_requests([waiting("queued", 5 * HOUR_MS, over_ms, "held: all")], NOW_MS)
    assert wrong(found) == ([(Check.REQUESTS, level)] if level else [])


@pytest.mark.parametrize(
    ("each", "level"),
    [
        (waiting("pending", MINUTE_MS, MINUTE_MS), None),
        (waiting("pending", 10 * MINUTE_MS, 10 * MINUTE_MS), Level.WARNING),
        (waiting("pending", 2 * HOUR_MS, 2 * HOUR_MS), Level.BAD),
        (waiting("routed", 30 * MINUTE_MS, 30 * MINUTE_MS), None),
        (waiting("routed", 2 * HOUR_MS, 2 * HOUR_MS), Level.WARNING),
    ],
)
def test_a_notice_is_late_when_no_channel_got_or_took_it(each: Waiting, level: Level | None) -> None:
    expected = [(Check.NOTICES_WAITING, level)] if level else []
    assert wrong(judge_notices([each], NONE_DEAD, NOW_MS)) == expected


@pytest.mark.parametrize(
    ("theirs_ms", "took_ms", "whole_ms", "ahead_ms"),
    [
        (NOW_MS + 10, 20, 1, 0),
        (NOW_MS + 90_000, 20, 1, 89_980),
        (NOW_MS - 90_000, 20, 1, -89_999),
        (NOW_MS - 900, 20, 1000, 0),  # a whole second says no more
        (NOW_MS - 5_000, 20, 1000, -4_000),
        (NOW_MS + 4_000, 5_000, 1, 0),  # the answer took longer than that
    ],
)
def test_a_clock_is_only_as_wrong_as_cannot_be_explained(
    theirs_ms: int, took_ms: int, whole_ms: int, ahead_ms: int
) -> None:
    assert ClockReading(theirs_ms, NOW_MS, NOW_MS + took_ms, whole_ms).ahead_ms == ahead_ms


@pytest.mark.parametrize(
    ("skew_ms", "level", "side"),
    [
        (1_900, Level.OK, "agrees"),
        (-1_900, Level.OK, "agrees"),
        (5_000, Level.WARNING, "ahead of"),
        (-5_000, Level.WARNING, "behind"),
        (61_000, Level.BAD, "ahead of"),
        (-62_000, Level.BAD, "behind"),
    ],
)
def test_skew_is_a_warning_from_two_seconds_and_bad_from_a_minute(
    skew_ms: int, level: Level, side: str
) -> None:
    found = judge_clock(Check.CLOCK_STRIPE, ClockReading(NOW_MS + skew_ms, NOW_MS, NOW_MS))
    assert found.level == level
    assert side in found.text


def test_a_worker_and_a_scheduler_that_say_so_are_there() -> None:
    seen = [Seen("scheduler", "b:1", NOW_MS - 1_000), Seen("worker", "a:1", NOW_MS - 12_000)]
    assert wrong(judge_processes(seen, NOW_MS)) == []


def test_processes_that_went_silent_are_gone_and_the_last_one_is_named() -> None:
    found = judge_processes([Seen("worker", "a:1", NOW_MS - 2 * HOUR_MS)], NOW_MS)
    assert wrong(found) == [(Check.PROCESS_WORKER, Level.BAD), (Check.PROCESS_SCHEDULER, Level.BAD)]
    assert "the last was seen 2 h ago, a:1" in found[0].text
    assert "payouts scheduler" in found[1].remedy


def test_queues_that_pile_up_are_named() -> None:
    assert wrong(judge_queues({"events": 200, "payouts": 0}, 200)) == []
    found = judge_queues({"events": 201, "payouts": 0}, 200)
    assert wrong(found) == [(Check.QUEUES, Level.WARNING)]
    assert "pile up in events (events 201, payouts 0)" in found[0].text


def test_a_day_without_an_event_is_a_warning() -> None:
    assert wrong(judge_received(NOW_MS - HOUR_MS, NOW_MS)) == []
    assert wrong(judge_received(NOW_MS - 25 * HOUR_MS, NOW_MS)) == [(Check.WATERMARK_RECEIVED, Level.WARNING)]
    assert wrong(judge_received(None, NOW_MS)) == [(Check.WATERMARK_RECEIVED, Level.WARNING)]


@pytest.mark.parametrize(
    ("hours", "every_h", "said"),
    [(17, 6, "ok"), (19, 6, "warning"), (29 * 24, 0, "ok"), (31 * 24, 0, "warning"), (None, 6, "warning")],
)
def test_catch_up_is_behind_after_three_rounds_or_where_stripe_lists_no_more(
    hours: int | None, every_h: int, said: str
) -> None:
    oldest_s = None if hours is None else (NOW_MS - hours * HOUR_MS) // 1000
    [found] = judge_caught_up(oldest_s, every_h * HOUR_MS, NOW_MS)
    assert (found.check, found.level) == (Check.WATERMARK_CAUGHT_UP, said)
    assert bool(found.remedy) == (said != "ok")
