"""Which walk is next: every account in its time, all at once after a gap, never more than may be asked."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy import Engine

from payouts.errors import GatewayError
from payouts.storage.columns import PLATFORM
from payouts.walking import AGAIN_MS
from payouts.walks import Walks
from tests.support.catching_up import ACCOUNT, DAY_S, HOUR_MS, Catcher


@pytest.fixture
def bench(shared_engine: Engine) -> Catcher:
    made = Catcher(shared_engine)
    made.partner(1)
    made.partner(2)
    return made


def run(bench: Catcher, walks: Walks) -> list[Any]:
    """Take every step there is now; cause, recipe and account of each walk that ended, in order."""
    bench.clock.pass_(seconds=1)
    began_ms = bench.clock()
    walks.look()
    walk_id = walks.due()
    while walk_id is not None:
        walk_id = walks.step(walk_id, bench.walker)
    sql = "SELECT cause, recipe, account FROM catch_up_walks WHERE ended_at_ms >= :since ORDER BY id"
    return [tuple(row) for row in bench.rows(sql, since=began_ms)]


def whole(*accounts: str) -> list[tuple[str, str, str]]:
    return [("schedule", "all", account) for account in accounts]


def test_every_account_is_walked_and_again_in_its_time_and_a_new_one_at_once(bench: Catcher) -> None:
    walks = bench.walks()
    assert run(bench, walks) == whole(PLATFORM, "acct_1", "acct_2")
    bench.clock.pass_(hours=5)
    bench.partner(3)
    assert run(bench, walks) == whole("acct_3")
    bench.clock.pass_(hours=1)
    assert run(bench, walks) == whole(PLATFORM, "acct_1", "acct_2")


def test_what_was_lost_between_two_walks_is_found_by_the_second(bench: Catcher) -> None:
    walks = bench.walks()
    run(bench, walks)
    bench.clock.pass_(hours=3)
    lost = bench.happens(2) + bench.happens(1, account=None)
    bench.clock.pass_(hours=3)
    run(bench, walks)
    assert set(bench.inbox()) == set(lost)
    assert bench.watermark(ACCOUNT) == bench.watermark(PLATFORM) == bench.now_s


def test_an_event_that_stripe_lists_minutes_after_it_was_created_is_found_by_the_next_walk(
    bench: Catcher,
) -> None:
    walks = bench.walks()
    run(bench, walks)
    (late,) = bench.happens(1)
    hidden = bench.stripe.events[ACCOUNT].pop()
    bench.clock.pass_(hours=6)
    hidden["created"] = bench.now_s - 600
    run(bench, walks)
    bench.stripe.events[ACCOUNT].append(hidden)
    bench.clock.pass_(hours=6)
    run(bench, walks)
    assert set(bench.inbox()) == {late}


def test_no_more_is_asked_of_stripe_in_an_hour_than_is_allowed(bench: Catcher) -> None:
    bench.stripe.page_size = 1
    run(bench, bench.walks())
    bench.clock.pass_(hours=7)
    made = bench.happens(10)
    walks = bench.walks(reads_most=4)
    bench.walker = dataclasses.replace(bench.walker, reads_most=4)
    for _ in range(4):
        before = len(bench.stripe.reads)
        run(bench, walks)
        run(bench, walks)
        assert len(bench.stripe.reads) - before <= 4
        bench.clock.pass_(hours=1)
    assert set(bench.inbox()) == set(made)


def test_a_walk_whose_message_was_lost_is_sent_again_and_no_other_begins_before(bench: Catcher) -> None:
    walks = bench.walks()
    walk_id = walks.due()
    assert walk_id is not None
    assert walks.due() is None
    bench.clock.now_ms += AGAIN_MS
    assert walks.due() == walk_id
    assert walks.due() is None  # its message is on its way


def test_a_message_that_comes_twice_does_not_go_on_twice(bench: Catcher) -> None:
    walks = bench.walks()
    walk_id = walks.due()
    assert walk_id is not None
    assert walks.step(walk_id, bench.walker) is not None
    assert walks.step(walk_id, bench.walker) is None


def test_an_account_without_an_answer_does_not_keep_the_others_from_their_turn(bench: Catcher) -> None:
    walks = bench.walks()
    bench.stripe.broken["acct_1"] = GatewayError("time-out", transient=True)
    assert run(bench, walks) == whole(PLATFORM)
    assert run(bench, walks) == whole("acct_2")
    bench.stripe.broken.clear()
    bench.clock.now_ms += AGAIN_MS
    assert run(bench, walks) == whole("acct_1")


def test_an_account_that_shows_nothing_is_tried_again_in_its_time(bench: Catcher) -> None:
    walks = bench.walks()
    bench.stripe.broken["acct_1"] = GatewayError("access is lost", transient=False, no_access=True)
    assert run(bench, walks) == whole(PLATFORM, "acct_1", "acct_2")
    assert run(bench, walks) == []
    bench.clock.pass_(hours=6)
    assert ("schedule", "all", "acct_1") in run(bench, walks)


def after_gap(*accounts: str) -> list[tuple[str, str, str]]:
    return [("gap", "failed", account) for account in accounts]


def test_after_a_time_without_the_scheduler_every_account_is_walked_at_once(bench: Catcher) -> None:
    walks = bench.walks(every_ms=48 * HOUR_MS, gap_ms=HOUR_MS)
    run(bench, walks)
    bench.clock.pass_(minutes=50)
    assert run(bench, walks) == []
    lost = bench.happens(1)
    bench.clock.pass_(hours=3)

    assert run(bench, walks) == after_gap(PLATFORM, "acct_1", "acct_2")
    assert set(bench.inbox()) == set(lost)
    assert run(bench, walks) == []


def test_without_an_event_for_long_where_they_are_usual_every_account_is_walked_once_an_hour(
    bench: Catcher,
) -> None:
    walks = bench.walks(every_ms=48 * HOUR_MS, gap_ms=HOUR_MS)
    run(bench, walks)
    for _ in range(30):
        bench.clock.pass_(minutes=30)
        bench.happens(1, arrives=True)
        assert run(bench, walks) == []
    bench.clock.pass_(minutes=45)
    assert run(bench, walks) == []
    bench.clock.pass_(minutes=20)
    assert run(bench, walks) == after_gap(PLATFORM, "acct_1", "acct_2")
    bench.clock.pass_(minutes=30)
    assert run(bench, walks) == []


def test_a_quiet_night_is_no_gap_where_events_are_rare(bench: Catcher) -> None:
    walks = bench.walks(every_ms=480 * HOUR_MS, gap_ms=HOUR_MS)
    bench.happens(3, arrives=True)
    run(bench, walks)
    for _ in range(20):
        bench.clock.pass_(minutes=50)
        assert run(bench, walks) == []


def test_each_day_is_proven_once_it_is_over_and_a_missed_one_is_made_up_for(bench: Catcher) -> None:
    bench.clock.now_ms = (bench.clock() // (DAY_S * 1000) + 1) * DAY_S * 1000 + HOUR_MS  # the first whole day
    walks = bench.walks(daily=True)
    assert [cause for cause, _, _ in run(bench, walks)] == ["schedule"] * 3
    bench.clock.pass_(hours=23)  # it is over, and may still be listed in part
    assert "proof" not in {cause for cause, _, _ in run(bench, walks)}
    bench.clock.pass_(minutes=20)
    proofs = [row for row in run(bench, walks) if row[0] == "proof"]
    assert proofs == [("proof", "all", account) for account in ("acct_1", "acct_2")]
    assert run(bench, walks) == []
    bench.clock.pass_(hours=48)
    run(bench, walks)

    days = bench.rows("SELECT number, since_s, until_s FROM proofs WHERE account = 'acct_1' ORDER BY number")
    assert [row.number for row in days] == [1, 2, 3]
    assert all(row.since_s % DAY_S == 0 and row.until_s == row.since_s + DAY_S - 1 for row in days)
    assert [day.since_s for day in days[1:]] == [day.until_s + 1 for day in days[:-1]]


def test_a_day_that_cannot_be_proven_is_told_of(bench: Catcher) -> None:
    bench.clock.now_ms = (bench.clock() // (DAY_S * 1000) + 1) * DAY_S * 1000 + HOUR_MS
    walks = bench.walks(daily=True)
    run(bench, walks)
    bench.stripe.broken["acct_1"] = GatewayError("access is lost", transient=False, no_access=True)
    bench.clock.pass_(hours=24)

    run(bench, walks)

    [told] = bench.rows("SELECT body FROM outbox WHERE name = 'alert.proof_failed'")
    assert "no proof of acct_1 from" in told.body
    assert "access is lost" in told.body
    assert bench.value("SELECT COUNT(*) FROM proofs WHERE account = 'acct_1'") == 0
    assert bench.value("SELECT COUNT(*) FROM proofs WHERE account = 'acct_2'") == 1
