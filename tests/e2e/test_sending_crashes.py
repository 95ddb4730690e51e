"""A worker killed at each commit and after each call while it sends payouts: each is made once, whatever it
was in the middle of."""

import pytest

from tests.support.payments import Payments, wait_at_rest
from tests.support.sandbox import sandbox_process
from tests.support.servers import wait_until
from tests.support.stack import Stack

DIED = -9
PASSES = (1, 2, 3)
"""At the first payout a worker passes each point three times: before the transfer, between the two calls, and
after the payout."""


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("point", ["send.before_commit", "send.after_commit", "send.after_call"])
def test_a_worker_killed_while_sending_pays_nobody_twice(
    mariadb_stack: Stack, point: str, passes: int
) -> None:
    with sandbox_process() as sandbox:
        payments = Payments(mariadb_stack, sandbox, partners=2)
        payments.stack.env["SEND_LEASE_S"] = "3"
        payments.ask_for(4)
        mariadb_stack.start("receiver", "scheduler")
        mariadb_stack.start("worker", CRASH_AT=f"{point}:{passes}")
        wait_until("the worker dies", lambda: not mariadb_stack.is_running("worker"), 30)
        assert mariadb_stack.processes.pop("worker").wait() == DIED

        mariadb_stack.start("worker")

        wait_at_rest(payments, 60)
        assert payments.states() == {"paid": 4}
        payments.judge()
