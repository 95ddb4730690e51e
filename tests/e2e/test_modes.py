"""Emergency mode on real processes: receiver, worker and scheduler follow the switch, and nothing is lost."""

import time
from pathlib import Path

from payouts.access import Step, bootstrap
from payouts.clock import now_ms
from payouts.emergency_watch import LOOK_EVERY_S
from payouts.people import BOOTSTRAP
from payouts.tokens import DEFAULT_DAYS
from tests.support.commands import run_here
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.requests import a_partner, a_request, keep, make_id, owe
from tests.support.servers import RedisServer, wait_until
from tests.support.stack import Stack


def bodies(*names: str) -> list[bytes]:
    return [event_body(f"evt_{name}", "paid", payout_object(f"po_{name}", "paid")) for name in names]


def test_all_processes_follow_the_switch_and_what_came_meanwhile_is_applied(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Stack(tmp_path, migrated_file(tmp_path / "payouts.db"), redis_server.url) as stack:
        partner = a_partner()
        with stack.engine.begin() as connection:
            token = bootstrap(Step(connection, make_id, now_ms(), BOOTSTRAP), "olga", DEFAULT_DAYS).secret
            keep(connection, partner)
            owe(connection, partner, 10_000)

        def switch(way: str) -> None:
            done = run_here("emergency", way, "--reason", "tried", **stack.env, PAYOUTS_TOKEN=token)
            assert done.returncode == 0, done.stderr

        # given a service whose emergency mode was switched on
        stack.start("receiver", "worker", "scheduler")
        assert stack.deliver(bodies("before")) == [200]
        stack.wait_applied()
        switch("on")
        wait_until(
            "the receiver spills",
            lambda: stack.deliver(bodies("while")) == [200] and redis_server.client.xlen("payouts:spill"),
            within_s=5,
            every_s=0.3,
        )
        time.sleep(LOOK_EVERY_S)  # each process looks for itself: the scheduler may still have drained

        # when events come and a payout is requested
        assert stack.deliver(bodies("one", "two")) == [200, 200]
        with stack.engine.begin() as connection:
            keep(connection, a_request(partner))
        wait_until(
            "the payout waits for its end",
            lambda: stack.count("SELECT COUNT(*) FROM payout_requests WHERE blocked = 'emergency'"),
            within_s=10,
        )
        assert stack.count("SELECT COUNT(*) FROM inbox WHERE event_id IN ('evt_one', 'evt_two')") == 0

        # then they are applied once it is off, and the payout is looked at again
        switch("off")
        wait_until("what was spilled is drained", lambda: not redis_server.client.xlen("payouts:spill"))
        stack.wait_applied()
        assert set(stack.payouts()) == {"po_before", "po_while", "po_one", "po_two"}
        wait_until(
            "the payout is tried",
            lambda: not stack.count("SELECT COUNT(*) FROM payout_requests WHERE blocked = 'emergency'"),
            within_s=10,
        )
