"""Adaptive batches: who waits together is worked for together, and everybody hears of their own."""

import random
import threading
from collections.abc import Callable, Sequence

import pytest

from payouts.combine import Combiner
from tests.support.servers import wait_until


class Work:
    """Records batches; holds the first until it is let go."""

    def __init__(self, *, hold_first: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.errors: dict[int, BaseException] = {}
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.overlapped = False
        self._busy = threading.Lock()
        if not hold_first:
            self.go_on.set()

    def __call__(self, bundles: Sequence[Sequence[int]]) -> list[int]:
        ids = [inbox_id for bundle in bundles for inbox_id in bundle]
        if not self._busy.acquire(blocking=False):
            self.overlapped = True
            return [0] * len(bundles)
        try:
            self.batches.append(list(ids))
            self.begun.set()
            assert self.go_on.wait(10)
            for inbox_id in ids:
                if inbox_id in self.errors:
                    raise self.errors[inbox_id]
            return [sum(bundle) for bundle in bundles]
        finally:
            self._busy.release()


def start(*calls: Callable[[], object]) -> tuple[list[threading.Thread], dict[int, BaseException]]:
    """Run each call in a thread; what each raised, by its place."""
    raised: dict[int, BaseException] = {}

    def guarded(place: int, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            raised[place] = error

    threads = [threading.Thread(target=guarded, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    return threads, raised


def waiting(combiner: Combiner[Sequence[int], int], count: int) -> Callable[[], bool]:
    return lambda: len(combiner._waiting) == count


def test_a_lone_call_is_worked_for_at_once() -> None:
    work = Work()
    assert Combiner(work, 10, len).run([7, 8]) == 15
    assert work.batches == [[7, 8]]


def held_back(work: Work, most: int, calls: Sequence[Sequence[int]]) -> dict[int, BaseException]:
    """The first call is in work while all the others come to wait; then everything goes on."""
    combiner = Combiner(work, most, len)
    first, errors = start(lambda: combiner.run([0]))
    assert work.begun.wait(10)
    later = []
    raised: dict[int, BaseException] = {}
    for place, ids in enumerate(calls):
        threads, found = start(lambda ids=ids: combiner.run(ids))  # type: ignore[misc]
        wait_until("the call waits", waiting(combiner, place + 1))
        later.append((threads[0], found))
    work.go_on.set()
    for thread in [*first, *(thread for thread, _ in later)]:
        thread.join(10)
        assert not thread.is_alive()
    assert errors == {}
    for place, (_, found) in enumerate(later):
        if found:
            raised[place] = found[0]
    return raised


def test_calls_that_wait_share_one_batch_in_their_order() -> None:
    work = Work(hold_first=True)
    assert held_back(work, 100, [[1, 2], [3], [4, 5, 6]]) == {}
    assert work.batches == [[0], [1, 2, 3, 4, 5, 6]]


def test_no_batch_is_larger_than_the_limit_but_one_call_stays_whole() -> None:
    work = Work(hold_first=True)
    assert held_back(work, 3, [[1, 2], [3], [4], [5, 6, 7, 8, 9], [10]]) == {}
    assert work.batches == [[0], [1, 2, 3], [4], [5, 6, 7, 8, 9], [10]]


def test_an_error_reaches_exactly_those_of_its_batch() -> None:
    work = Work(hold_first=True)
    work.errors[3] = trouble = RuntimeError("out of order")
    raised = held_back(work, 2, [[1, 2], [3], [4], [5, 6]])
    assert raised == {1: trouble, 2: trouble}
    assert work.batches == [[0], [1, 2], [3, 4], [5, 6]]


def test_even_an_error_that_ends_threads_leaves_the_others_working() -> None:
    work = Work(hold_first=True)
    work.errors[1] = SystemExit()
    raised = held_back(work, 1, [[1], [2]])
    assert list(raised) == [0]
    assert isinstance(raised[0], SystemExit)
    assert work.batches == [[0], [1], [2]]


def test_after_an_error_the_next_call_works_again() -> None:
    work = Work()
    work.errors[1] = RuntimeError("out of order")
    combiner = Combiner(work, 10, len)
    with pytest.raises(RuntimeError, match="out of order"):
        combiner.run([1])
    combiner.run([2])
    assert work.batches == [[1], [2]]


def test_many_threads_have_each_id_worked_once_and_never_two_batches_at_once() -> None:
    work, rng = Work(), random.Random(5)
    combiner = Combiner(work, 7, len)
    shares = [[(caller * 100 + at) for at in range(rng.randrange(1, 5))] for caller in range(40)]
    done: list[int] = []

    def call(ids: list[int]) -> None:
        for inbox_id in ids:
            combiner.run([inbox_id])
            done.append(inbox_id)
            assert any(inbox_id in batch for batch in work.batches)

    threads, raised = start(*(lambda ids=ids: call(ids) for ids in shares))  # type: ignore[misc]
    for thread in threads:
        thread.join(10)
    expected = sorted(inbox_id for ids in shares for inbox_id in ids)
    assert raised == {}
    assert not work.overlapped
    assert sorted(inbox_id for batch in work.batches for inbox_id in batch) == expected
    assert sorted(done) == expected
    assert max(len(batch) for batch in work.batches) <= 7


def test_what_is_ready_waits_for_a_caller_who_is_about_to_come() -> None:
    work, coming = Work(), [1]
    combiner = Combiner(work, 100, len, coming=lambda: coming[0], patience_s=10)
    threads, raised = start(lambda: combiner.run([1]))
    wait_until("the first one waits", waiting(combiner, 1))

    coming[0] = 0
    more, also_raised = start(lambda: combiner.run([2]))

    for thread in [*threads, *more]:
        thread.join(5)
    assert not any(thread.is_alive() for thread in [*threads, *more])
    assert sorted(work.batches[0]) == [1, 2]
    assert raised == also_raised == {}


def test_a_caller_who_does_not_come_is_not_waited_for_any_longer() -> None:
    work = Work()
    combiner = Combiner(work, 100, len, coming=lambda: 1, patience_s=0.02)

    assert combiner.run([1]) == 1

    assert work.batches == [[1]]
