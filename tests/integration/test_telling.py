"""Notices come out of the outbox by each channel at least once, in order, and nothing piles up."""

import threading
import time
from collections.abc import Iterator

import pytest

from payouts.notices import Notice, NoticeError, Route
from payouts.storage import outbox_rows
from payouts.telling import LEASE_MS, PRUNE_MOST, PRUNE_STEPS, RUN_WITHIN_MS, SET_MOST, SET_WITHIN_MS, prune
from tests.support.outbox import MAX_ATTEMPTS, Office, Recorder
from tests.support.requests import migrated
from tests.support.servers import wait_until


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    with migrated(database_url, pool_size=10) as engine:
        yield Office(engine)


def test_every_channel_gets_every_notice_once_in_the_order_of_their_ids(office: Office) -> None:
    ids = office.write(1, 1, 2, None, 1)
    assert not office.teller.tell()
    assert office.a.got == office.b.got == ids
    assert office.statuses() == ["delivered"] * 5

    office.clock.pass_(hours=1)
    office.teller.tell()
    assert office.a.asked == office.b.asked == 5


def test_a_channel_that_fails_does_not_repeat_the_others_and_gets_its_notice_later(office: Office) -> None:
    (one,) = office.write(1)
    office.a.failing[one] = NoticeError("mailbox full", transient=True)
    office.teller.tell()
    assert office.deliveries(one) == {
        "a": ("pending", 1, "mailbox full"),
        "b": ("delivered", 1, None),
    }
    assert office.statuses() == ["routed"]

    office.teller.tell()
    assert office.a.asked == 1, "not before its time"
    office.a.failing.clear()
    office.clock.pass_(seconds=3)
    office.teller.tell()
    assert (office.a.got, office.b.got) == ([one], [one])
    assert office.statuses() == ["delivered"]


def test_the_wait_between_attempts_grows(office: Office) -> None:
    (one,) = office.write(1)
    office.a.failing[one] = ConnectionError("refused")
    waits = []
    for _ in range(MAX_ATTEMPTS - 1):
        office.teller.tell()
        (row,) = office.rows("SELECT due_at_ms FROM notice_deliveries WHERE channel = 'a'")
        waits.append(row.due_at_ms - office.clock())
        office.clock.now_ms = row.due_at_ms
    assert 1_000 <= waits[0] <= 2_000
    assert 2_000 <= waits[1] <= 4_000


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (NoticeError("no such address", transient=False), 1),
        (NoticeError("not now", transient=True), MAX_ATTEMPTS),
        (RuntimeError("a mistake of ours"), MAX_ATTEMPTS),
    ],
    ids=["refused for good", "attempts used up", "unknown error"],
)
def test_what_cannot_be_delivered_is_dead_and_kept_with_its_error(
    office: Office, error: Exception, tries: int
) -> None:
    (one,) = office.write(1)
    office.a.failing[one] = error
    office.tell_all(60)
    assert office.a.asked == tries
    assert office.deliveries(one)["a"] == ("dead", tries, str(error))
    assert office.statuses() == ["dead"]
    assert office.b.got == [one]


def test_an_error_that_carries_a_secret_is_kept_without_it(office: Office) -> None:
    (one,) = office.write(1)
    office.a.failing[one] = NoticeError("signed with whsec_hunter2", transient=False)
    office.teller.tell()
    assert office.deliveries(one)["a"][2] == "signed with whsec_***"


def test_a_notice_that_fails_holds_back_those_of_its_payout_on_that_channel_only(office: Office) -> None:
    first, other, second = office.write(1, 2, 1)
    office.a.failing[first] = NoticeError("not now", transient=True)
    office.teller.tell()
    (third,) = office.write(1)
    office.clock.pass_(seconds=0.9)
    office.teller.tell()
    assert office.a.got == [other]
    assert office.b.got == [first, other, second, third]

    office.a.failing.clear()
    office.tell_all(10)
    assert office.a.got == [other, first, second, third]
    assert [office.deliveries(row_id)["a"][1] for row_id in (first, second, third)] == [2, 1, 1]


def test_a_dead_notice_holds_nothing_back(office: Office) -> None:
    first, second = office.write(1, 1)
    office.a.failing[first] = NoticeError("never", transient=False)
    office.teller.tell()
    assert office.a.got == [second]


def test_a_notice_under_way_with_somebody_else_holds_back_the_newer(office: Office) -> None:
    first = office.write(1)
    gate, begun = threading.Event(), threading.Event()

    class Slow(Recorder):
        def deliver(self, notice: Notice) -> None:
            begun.set()
            assert gate.wait(10)
            super().deliver(notice)

    slow = Slow()
    elsewhere = threading.Thread(target=office.another({"a": slow}, [Route("a")]).tell)
    elsewhere.start()
    assert begun.wait(10)
    here = office.another({"a": slow}, [Route("a")])
    second = office.write(1)
    here.tell()
    assert slow.got == []
    gate.set()
    elsewhere.join()
    office.clock.pass_(seconds=1)
    here.tell()
    assert slow.got == first + second


def test_one_that_has_no_channels_yet_holds_back_the_newer(office: Office) -> None:
    # Locked by another worker that gives it its channels, it is left out here; the newer is not.
    first = office.write(1)
    office.run("UPDATE outbox SET due_at_ms = due_at_ms + 10000")
    second = office.write(1)
    office.teller.tell()
    assert office.a.got == []
    office.clock.pass_(seconds=10)
    office.teller.tell()
    assert office.a.got == first + second


def test_what_was_claimed_by_a_worker_that_died_is_delivered_after_its_lease(office: Office) -> None:
    ids = office.write(1, 1, 2)
    with office.engine.begin() as connection:
        outbox_rows.route(connection, lambda _: ["a"], office.make_id, office.clock(), SET_MOST)
        claimed = outbox_rows.claim(connection, "a", office.clock(), LEASE_MS, SET_MOST).claimed
    assert [one.notice.id for one in claimed] == ids
    office.clock.pass_(seconds=LEASE_MS / 1000 - 1)
    office.teller.tell()
    assert office.a.got == []
    office.clock.pass_(seconds=1)
    office.teller.tell()
    assert office.a.got == ids


def test_a_late_failure_does_not_undo_what_somebody_else_delivered(office: Office) -> None:
    (one,) = office.write(1)

    class Stuck(Recorder):
        def deliver(self, notice: Notice) -> None:
            office.clock.pass_(seconds=LEASE_MS / 1000 + 1)
            office.another({"a": office.a}).tell()
            raise NoticeError("timed out", transient=False)

    office.another({"a": Stuck()}, [Route("a")]).tell()
    assert office.a.got == [one]
    assert office.deliveries(one) == {"a": ("delivered", 1, None)}
    assert office.statuses() == ["delivered"]


def test_a_slow_channel_gives_back_what_it_has_not_come_to(office: Office) -> None:
    ids = office.write(1, 1, 2, 3)

    class Slow(Recorder):
        def deliver(self, notice: Notice) -> None:
            super().deliver(notice)
            office.clock.pass_(seconds=SET_WITHIN_MS / 1000)

    slow = Slow()
    teller = office.another({"a": slow}, [Route("a")])
    teller.tell()
    assert slow.got == ids[:1]
    for _ in range(10):
        teller.tell()
    assert sorted(slow.got) == ids
    assert [office.deliveries(row_id)["a"][1] for row_id in ids] == [1, 1, 1, 1]


def test_a_run_ends_in_time_and_says_that_there_is_more(office: Office) -> None:
    ids = office.write(*range(3 * SET_MOST))

    class Slow(Recorder):
        def deliver(self, notice: Notice) -> None:
            super().deliver(notice)
            office.clock.pass_(seconds=RUN_WITHIN_MS / 1000 / SET_MOST)

    slow = Slow()
    teller = office.another({"a": slow}, [Route("a")])
    assert teller.tell()
    assert slow.got == ids[:SET_MOST]
    while teller.tell():
        pass
    assert slow.got == ids


def test_a_notice_that_nobody_takes_is_over_at_once(office: Office) -> None:
    ids = office.write(1)
    office.another(routes=[Route("a", "alert.*")]).tell()
    assert office.statuses(ids) == ["delivered"]
    assert office.a.asked == 0


def test_four_workers_at_once_deliver_each_notice_once_and_in_order(office: Office) -> None:
    payouts = [number % 300 for number in range(1_200)]
    ids = office.write(*payouts)
    of = dict(zip(ids, payouts, strict=True))
    stop = threading.Event()

    def work() -> None:
        teller = office.another()
        while not stop.is_set():
            teller.tell()
            office.clock.pass_(seconds=0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until("all are over", lambda: set(office.statuses()) == {"delivered"}, 60, every_s=0.2)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for got in (office.a.got, office.b.got):
        assert sorted(got) == ids
        for payout in range(300):
            mine = [row_id for row_id in got if of[row_id] == payout]
            assert mine == sorted(mine)


def test_a_thousand_notices_a_second_pass(office: Office) -> None:
    ids = office.write(*range(4_000))
    # By the time that this process worked: a busy machine must not fail the test.
    began_s = time.process_time()
    while office.teller.tell():
        pass
    per_s = len(ids) / (time.process_time() - began_s)
    assert office.a.got == office.b.got == ids
    assert per_s > 1_000, f"{per_s:.0f} notices/s by two channels"


def test_only_what_was_delivered_long_ago_is_pruned(office: Office) -> None:
    (dead,) = office.write(9)
    office.a.failing[dead] = NoticeError("never", transient=False)
    office.write(*range(PRUNE_MOST + 5))
    office.tell_all(2)
    office.clock.pass_(hours=24)
    young = office.write(1)
    office.tell_all(2)
    (open_,) = office.write(2)

    day_ms = 24 * 3_600_000
    assert prune(office.engine, office.clock() - day_ms) == PRUNE_MOST + 5
    assert prune(office.engine, office.clock() - day_ms) == 0
    left = [row.id for row in office.rows("SELECT id FROM outbox ORDER BY id")]
    assert left == [dead, *young, open_]
    assert {row.outbox_id for row in office.rows("SELECT outbox_id FROM notice_deliveries")} == {dead, *young}


def test_a_run_of_pruning_is_bounded(office: Office) -> None:
    most = PRUNE_MOST * PRUNE_STEPS
    office.write(*[None] * (most + 10))
    office.run("UPDATE outbox SET status = 'delivered'")
    assert prune(office.engine, office.clock() + 1) == most
    assert prune(office.engine, office.clock() + 1) == 10
