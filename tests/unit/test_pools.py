"""Whether all connections fit, and that what is said to be set does fit."""

import pytest

from payouts.pools import SHARE, SPARE, Fit, Need, needs_of, pool_sizes
from payouts.settings import Settings
from payouts.storage.presence import ProcessState, Seen
from payouts.storage.redis_view import Process

SETTINGS = Settings(database_url="sqlite://", redis_url="redis://127.0.0.1:1/0")


def process(role: str, most: int | None = None, *, here: bool = True) -> Process:
    state = ProcessState(version="1", started_at_ms=0, connections_most=most) if most else None
    return Process(Seen(role, f"{role}:{most}", 0), here, state)


def fit(most: int | None, size: int = 5, **processes: int) -> Fit:
    settings = SETTINGS.model_copy(update={"database_pool_size": size})
    return Fit(needs_of([], pool_sizes(settings), processes), most, 1, size)


def test_what_a_process_of_each_role_may_open() -> None:
    assert pool_sizes(SETTINGS) == {"receiver": 4, "worker": 5, "scheduler": 5, "api": 6, "console": 18}


def test_processes_that_are_there_are_counted_and_a_plan_in_their_place() -> None:
    seen = [process("worker", 5), process("worker", 20), process("worker", 5, here=False), process("api")]
    needs = {need.role: need for need in needs_of(seen, pool_sizes(SETTINGS), {"receiver": 3})}
    assert needs["worker"] == Need("worker", 2, 20)  # one is set to open more than the settings here say
    assert needs["api"] == Need("api", 1, 6)
    assert needs["receiver"] == Need("receiver", 3, 4)
    assert needs["console"].total == 0


@pytest.mark.parametrize(("most", "fits"), [(91, False), (92, True), (1_000, True), (None, None)])
def test_a_fifth_is_left_free(most: int | None, fits: bool | None) -> None:
    found = fit(most, receiver=2, worker=4, scheduler=1, api=2, console=1)
    assert found.total == 8 + 20 + 5 + 12 + 18 + SPARE  # 73 is 80 % of 91.25
    assert found.fits is fits


@pytest.mark.parametrize("most", [60, 100, 151, 400])
@pytest.mark.parametrize("workers", [1, 4, 20, 80])
def test_what_is_said_to_be_set_fits_and_no_less_would(most: int, workers: int) -> None:
    processes = {"receiver": 2, "worker": workers, "scheduler": 1, "api": 2}
    found = fit(most, **processes)
    assert fit(found.wanted_most, **processes).fits
    assert not fit(found.wanted_most - 1, **processes).fits
    size = found.wanted_pool_size
    if size is None:
        assert not fit(most, 1, **processes).fits
    else:
        assert fit(most, size, **processes).fits
        assert not fit(most, size + 1, **processes).fits
    assert found.fits == (found.total < SHARE * most)
