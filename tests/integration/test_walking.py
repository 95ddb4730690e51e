"""Walking what Stripe lists: what never arrived is added, once; what is cut short goes on where it was."""

import dataclasses
import os
import subprocess
import sys
import threading

import pytest
from sqlalchemy import Engine

from payouts.errors import GatewayError, RefusedError
from payouts.gateway import EventsQuery, ListedEvent, Page
from payouts.handled import HANDLED_TYPES
from payouts.storage.columns import PLATFORM
from payouts.walk import Recipe, WalkStatus
from payouts.walks import mark_new
from tests.support.catching_up import ACCOUNT, DAY_S, Catcher


@pytest.fixture
def bench(shared_engine: Engine) -> Catcher:
    made = Catcher(shared_engine)
    made.partner(1)
    with shared_engine.begin() as connection:
        mark_new(connection, made.make_id, made.clock())
    made.clock.pass_(hours=2)
    return made


def test_what_never_arrived_is_added_applied_and_told_apart_from_deliveries(bench: Catcher) -> None:
    arrived = bench.happens(3, arrives=True)
    lost = bench.happens(2)
    bench.apply()

    walk = bench.walk()

    assert (walk.listed, walk.known, walk.added, walk.status) == (5, 3, 2, WalkStatus.DONE)
    assert bench.inbox() == dict.fromkeys(arrived, "webhook") | dict.fromkeys(lost, "catch-up")
    bench.applier.apply(bench.hinted)
    assert {row.status for row in bench.rows("SELECT status FROM inbox")} == {"applied"}
    assert bench.value("SELECT COUNT(*) FROM payouts WHERE status = 'paid'") == 5


def test_an_event_that_is_there_already_is_neither_applied_nor_counted_as_delivered_again(
    bench: Catcher,
) -> None:
    bench.happens(3, arrives=True)
    bench.apply()
    before = bench.rows("SELECT * FROM inbox ORDER BY id")

    bench.walk()
    again = bench.walk()

    assert (again.known, again.added) == (3, 0)
    assert bench.rows("SELECT * FROM inbox ORDER BY id") == before
    assert bench.value("SELECT COUNT(*) FROM inbox_deliveries") == 0
    assert bench.hinted == []


def test_the_recipe_for_failed_deliveries_lists_only_those_and_leaves_the_watermark(bench: Catcher) -> None:
    bench.happens(4, arrives=True)
    lost = bench.happens(1)
    acknowledged_and_lost = bench.happens(1)
    bench.stripe.untaken -= set(acknowledged_and_lost)
    before = bench.watermark()

    failed = bench.walk(recipe=Recipe.FAILED, since_s=before)
    assert (failed.listed, failed.added) == (1, 1)
    assert bench.watermark() == before
    everything = bench.walk(since_s=before)

    assert (everything.listed, everything.added) == (6, 1)
    assert bench.watermark() == bench.now_s
    assert [name for name, source in bench.inbox().items() if source == "catch-up"] == [
        *lost,
        *acknowledged_and_lost,
    ]


def test_types_that_nobody_handles_are_walked_only_when_all_are_asked_for(bench: Catcher) -> None:
    other = bench.happens(kind="charge.succeeded")

    assert bench.walk().listed == 0
    assert bench.walk(all_types=True).added == 1

    bench.apply()
    assert bench.rows("SELECT event_id, status FROM inbox") == [(other[0], "ignored")]


def test_every_type_that_is_walked_is_handled_and_stripe_takes_them_in_one_list() -> None:
    assert len(set(HANDLED_TYPES)) == len(HANDLED_TYPES) <= 20


def test_more_than_a_page_is_walked_page_by_page_whatever_the_seconds(bench: Catcher) -> None:
    bench.stripe.page_size = 3
    made = []
    for count in (2, 5, 4):  # pages end inside a second
        made += bench.happens(count)
        bench.clock.pass_(seconds=1)

    walk = bench.walk()

    assert (walk.listed, walk.added, walk.reads) == (11, 11, 4)
    assert set(bench.inbox()) == set(made)


def test_a_walk_that_is_cut_short_leaves_the_watermark_and_goes_on_after_its_last_page(
    bench: Catcher,
) -> None:
    bench.stripe.page_size = 2
    bench.happens(5)
    before = bench.watermark()
    begun = bench.wish()
    bench.walker.step(begun.id)

    assert bench.watermark() == before
    assert len(bench.inbox()) == 2
    bench.clock.pass_(minutes=5)
    resumed = bench.wish(since_s=bench.now_s - DAY_S)  # five minutes later than asked for at first

    assert resumed.id == begun.id
    assert bench.go_on(resumed).reads == 3
    assert len(bench.inbox()) == 5
    assert bench.watermark() == begun.until_s


def test_a_walk_that_begins_after_the_watermark_does_not_move_it(bench: Catcher) -> None:
    before = bench.watermark()
    bench.walk(since_s=bench.now_s - 60)
    assert bench.watermark() == before
    bench.walk(since_s=before)
    assert bench.watermark() == bench.now_s


def test_asking_for_more_gives_up_the_walk_under_way(bench: Catcher) -> None:
    first = bench.wish()
    second = bench.wish(since_s=bench.now_s - 3 * DAY_S)
    assert bench.found(first.id).status == WalkStatus.GIVEN_UP
    assert second.is_open


def test_two_that_walk_at_once_add_each_event_once(bench: Catcher) -> None:
    bench.stripe.page_size = 10
    bench.happens(50)
    walk = bench.wish()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while bench.found(walk.id).is_open:
                bench.walker.step(walk.id)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    done = bench.found(walk.id)
    assert (done.listed, done.added, done.reads) == (50, 50, 5)
    assert len(bench.inbox()) == len(set(bench.hinted)) == len(bench.hinted) == 50
    assert bench.value("SELECT COUNT(*) FROM inbox_deliveries") == 0


def test_an_event_that_is_delivered_while_its_page_is_read_stays_one_event(bench: Catcher) -> None:
    bench.happens(2)
    (raced,) = bench.stripe.events[ACCOUNT][-1:]

    class Racing:
        def events_page(
            self, account: str | None, query: EventsQuery, after: str | None
        ) -> Page[ListedEvent]:
            page = bench.stripe.events_page(account, query, after)
            bench.arrives(raced)
            return page

    bench.walker = dataclasses.replace(bench.walker, gateway=Racing())
    walk = bench.walk()

    assert (walk.known, walk.added) == (1, 1)
    assert bench.inbox()[raced["id"]] == "webhook"


def test_events_of_an_account_that_nobody_registered_are_found_when_it_is_named(bench: Catcher) -> None:
    bench.happens(2, account="acct_unknown")
    walk = bench.walk("acct_unknown")
    bench.apply()
    assert walk.added == 2
    assert {row.account for row in bench.rows("SELECT account FROM payouts")} == {"acct_unknown"}
    assert bench.watermark("acct_unknown") is None


def test_an_event_that_does_not_name_its_account_belongs_to_the_one_that_was_asked(bench: Catcher) -> None:
    bench.happens(1)
    bench.happens(1, account=None)
    del bench.stripe.events[ACCOUNT][0]["account"]

    bench.walk()
    bench.walk(PLATFORM)

    accounts = {row.account for row in bench.rows("SELECT account FROM inbox")}
    assert accounts == {ACCOUNT, PLATFORM}


def test_what_is_older_than_stripe_keeps_is_not_asked_for_and_that_is_on_record(bench: Catcher) -> None:
    bench.clock.pass_(hours=24 * 45)
    walk = bench.walk(since_s=bench.now_s - 45 * DAY_S)
    assert walk.cut
    assert walk.since_s == bench.now_s - 30 * DAY_S
    assert bench.watermark() == bench.now_s
    cut_short = bench.wish(since_s=bench.now_s - 45 * DAY_S)
    bench.clock.pass_(minutes=10)
    assert bench.wish(since_s=bench.now_s - 45 * DAY_S).id == cut_short.id
    with pytest.raises(RefusedError, match="30 days"):
        bench.wish(since_s=bench.now_s - 45 * DAY_S, until_s=bench.now_s - 40 * DAY_S)


def test_no_answer_leaves_the_walk_where_it_is_with_the_error_on_its_row(bench: Catcher) -> None:
    bench.stripe.page_size = 1
    bench.happens(2)
    walk = bench.wish()
    bench.walker.step(walk.id)
    bench.stripe.broken[ACCOUNT] = GatewayError("time-out", transient=True)

    with pytest.raises(GatewayError):
        bench.walker.step(walk.id)
    stuck = bench.found(walk.id)
    assert (stuck.is_open, stuck.tries, stuck.error, stuck.listed) == (True, 1, "time-out", 1)

    bench.stripe.broken.clear()
    done = bench.go_on(stuck)
    assert (done.added, done.error) == (2, None)


def test_an_account_that_shows_nothing_any_more_ends_its_walk_as_failed(bench: Catcher) -> None:
    bench.stripe.broken[ACCOUNT] = GatewayError("access is lost", transient=False, no_access=True)
    before = bench.watermark()
    walk = bench.walk()
    assert (walk.status, walk.error) == (WalkStatus.FAILED, "access is lost")
    assert bench.watermark() == before


def test_events_of_the_other_mode_stop_the_walk_and_name_the_settings(bench: Catcher) -> None:
    bench.happens(1)
    bench.stripe.events[ACCOUNT][0]["livemode"] = True
    walk = bench.wish()
    with pytest.raises(GatewayError, match="STRIPE_LIVEMODE") as caught:
        bench.walker.step(walk.id)
    assert caught.value.blocked
    assert bench.inbox() == {}


def test_a_hint_that_is_lost_loses_no_event(bench: Catcher) -> None:
    bench.happens(1)

    def broken(_: object) -> None:
        raise ConnectionError("no Redis")

    bench.walker = dataclasses.replace(bench.walker, hint=broken)
    assert bench.walk().added == 1
    assert bench.rows("SELECT status FROM inbox") == [("received",)]


_CRASHING = """
import sys
from payouts.storage.engine import build_engine
from tests.support.catching_up import Catcher
bench = Catcher(build_engine(sys.argv[1], timeout_s=10, pool_size=2))
bench.clock.now_ms = int(sys.argv[2])
bench.stripe.page_size = 2
bench.happens(5)
bench.walk()
"""


@pytest.mark.parametrize(("point", "kept"), [("catch_up.before_commit:2", 2), ("catch_up.after_commit:2", 4)])
def test_a_process_killed_between_pages_loses_no_page_and_adds_none_twice(
    bench: Catcher, point: str, kept: int
) -> None:
    url = bench.engine.url.render_as_string(hide_password=False)
    died = subprocess.run(
        [sys.executable, "-c", _CRASHING, url, str(bench.clock())],
        env={**os.environ, "CRASH_AT": point},
        check=False,
    )
    assert died.returncode == -9
    assert len(bench.inbox()) == kept

    bench.stripe.page_size = 2
    bench.happens(5)  # the same events: they are named by their number
    walk = bench.walk()

    assert (walk.listed, walk.added, len(bench.inbox())) == (5, 5, 5)
    assert bench.value("SELECT COUNT(*) FROM catch_up_walks") == 1
