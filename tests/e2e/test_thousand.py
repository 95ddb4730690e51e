"""A thousand payouts through the whole service while everything goes wrong that Stripe's simulator knows. The
judge is the simulator's own books."""

import pytest

from tests.support.payments import Payments, wait_at_rest
from tests.support.sandbox import sandbox_process
from tests.support.stack import Stack

CALLS = {
    "refuse_429": 0.03,
    "cut_before": 0.03,
    "error_before": 0.01,
    "timeout_before": 0.005,
    "slow": 0.005,
    "error_after": 0.02,
    "cut_after": 0.03,
    "timeout_after": 0.005,
    "timeout_s": 3,
}
EVENTS = {
    "event_twin": 0.05,
    "event_duplicate": 0.05,
    "event_reorder": 0.1,
    "event_delay": 0.05,
    "delay_s": 3,
    "event_lost_at_first": 0.05,
}
LIVES = {"payout_failed": 0.03, "payout_returned": 0.03, "payout_reversed": 0.02}


def run(stack: Stack, seed: int, count: int, partners: int, within_s: float) -> None:
    with sandbox_process("--seed", str(seed)) as sandbox:
        payments = Payments(stack, sandbox, partners)
        stack.start("receiver", "worker:1", "worker:2", "scheduler")
        sandbox.set_faults(**CALLS, **EVENTS, **LIVES)
        payments.ask_for(count)
        payments.tidy_up(within_s)
        payments.judge()


def test_without_faults_every_payout_is_paid_once(mariadb_stack: Stack) -> None:
    with sandbox_process() as sandbox:
        payments = Payments(mariadb_stack, sandbox, partners=5)
        mariadb_stack.start("receiver", "worker", "scheduler")
        payments.ask_for(30)
        wait_at_rest(payments, 60)
        assert payments.states() == {"paid": 30}
        payments.judge()


def test_a_thousand_payouts_with_all_faults_are_neither_lost_nor_paid_twice(mariadb_stack: Stack) -> None:
    run(mariadb_stack, seed=7, count=1_000, partners=100, within_s=480)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 105))
def test_more_seeds_of_a_thousand(mariadb_stack: Stack, seed: int) -> None:
    run(mariadb_stack, seed, count=1_000, partners=100, within_s=600)
