"""An idle worker wakes with the message: it neither polls nor sleeps."""

import statistics
import time

from tests.support.lives import event_body, payout_object
from tests.support.senders import wait_started
from tests.support.stack import Stack

DELIVERIES = 10


def test_an_idle_worker_applies_an_event_at_once(mariadb_stack: Stack) -> None:
    mariadb_stack.start("receiver", "worker")  # no scheduler: nothing but the hint wakes the worker
    wait_started(mariadb_stack, "worker")
    waits_ms = []
    for number in range(DELIVERIES + 1):
        time.sleep(0.3 if number else 3)
        body = event_body(f"evt_{number}", "paid", payout_object(f"po_{number}", "paid"))
        assert mariadb_stack.post(body).status_code == 200
        answered_at_ms = time.time() * 1000
        mariadb_stack.wait_applied(5)
        applied_at_ms = mariadb_stack.count(
            "SELECT processed_at_ms FROM inbox WHERE event_id = :id", id=f"evt_{number}"
        )
        waits_ms.append(applied_at_ms - answered_at_ms)

    first, *others = waits_ms
    print(f"first {first:.1f} ms, median {statistics.median(others):.1f} ms, most {max(others):.1f} ms")  # noqa: T201
    assert first < 300
    assert statistics.median(others) < 100
