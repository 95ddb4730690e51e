"""Row ids: they grow, are never the same twice, and a time can be turned into the first of them."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from payouts.ids import COUNTER_BITS, EPOCH_MS, NODE_BITS, IdMaker, floor_id

NOW_MS = 1_790_000_000_000


@given(steps=st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=200))
def test_ids_grow_whatever_the_clock_does(steps: list[int]) -> None:
    times = iter([NOW_MS + sum(steps[: at + 1]) for at in range(len(steps))])
    make_id = IdMaker(lambda: next(times))
    made = [make_id() for _ in steps]
    assert made == sorted(set(made))


def test_more_ids_than_a_millisecond_holds_are_borrowed_from_the_next() -> None:
    make_id = IdMaker(lambda: NOW_MS, node=5)
    made = [make_id() for _ in range(3000)]
    assert made == sorted(set(made))
    assert made[1023] < floor_id(NOW_MS + 1) < made[1024]
    assert {(row_id >> COUNTER_BITS) % (1 << NODE_BITS) for row_id in made} == {5}


def test_threads_never_get_the_same_id() -> None:
    make_id, made = IdMaker(), []

    def draw() -> None:
        mine = [make_id() for _ in range(2000)]
        assert mine == sorted(mine)
        made.extend(mine)

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(made)) == 16_000


def test_two_processes_at_the_same_millisecond_differ_by_their_node() -> None:
    assert IdMaker(lambda: NOW_MS, node=1)() != IdMaker(lambda: NOW_MS, node=2)()


def test_an_id_fits_a_signed_64_bit_column_until_2094() -> None:
    end_of_2093_ms = 3_913_056_000_000
    assert 0 < IdMaker(lambda: end_of_2093_ms, node=(1 << NODE_BITS) - 1)() < 2**63


@given(at_ms=st.integers(EPOCH_MS, EPOCH_MS + 2**41 - 1), node=st.integers(0, (1 << NODE_BITS) - 1))
def test_the_floor_of_a_time_is_at_most_its_first_id_and_above_the_one_before(at_ms: int, node: int) -> None:
    assert floor_id(at_ms) <= IdMaker(lambda: at_ms, node)() < floor_id(at_ms + 1)


def test_the_floor_of_a_time_before_all_ids_is_zero() -> None:
    assert floor_id(0) == floor_id(EPOCH_MS) == 0
