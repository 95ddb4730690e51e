"""The main job: signed deliveries over HTTP become payout states, whatever the order, however often."""

import random

import pytest

from tests.support.lives import Lives, make_lives, shared_lives
from tests.support.stack import Stack, check_promises


def run(stack: Stack, lives: Lives, *, times: int, seed: int | None) -> None:
    bodies = lives.bodies * times
    if seed is not None:
        random.Random(seed).shuffle(bodies)
    stack.start("receiver", "worker", "worker:2", "scheduler")
    assert set(stack.deliver(bodies)) == {200}
    stack.wait_applied()
    check_promises(stack, lives.expected, bodies)


@pytest.mark.parametrize(("times", "seed"), [(1, None), (2, 7)])
def test_every_life_ends_as_it_must(stack: Stack, times: int, seed: int | None) -> None:
    run(stack, make_lives(250, seed=11), times=times, seed=seed)


@pytest.mark.parametrize(("times", "seed"), [(1, None), (2, 20261123)])
def test_the_shared_corpus_ends_as_it_must(stack: Stack, times: int, seed: int | None) -> None:
    lives = shared_lives()
    if lives is None:
        pytest.skip("no shared corpus beside this checkout")
    run(stack, lives, times=times, seed=seed)
    assert stack.count("SELECT COUNT(*) FROM inbox_deliveries") >= 113 * times


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 9))
def test_every_life_ends_as_it_must_in_many_orders(stack: Stack, seed: int) -> None:
    run(stack, make_lives(1_000, seed=seed), times=3, seed=seed)
