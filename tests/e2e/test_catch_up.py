"""The receiver is down while Stripe goes on: catch-up brings what was missed, and a proof says so."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.test_up import run
from tests.support.payments import Payments
from tests.support.sandbox import Sandbox, sandbox_process
from tests.support.servers import wait_until
from tests.support.stack import Stack


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_process() as made:
        yield made


class Operator:
    """Who types commands, on a stack."""

    def __init__(self, stack: Stack) -> None:
        self.settings = {
            name: value
            for name, value in stack.env.items()
            if name.isupper() and name not in ("PATH", "HOME")
        }
        self.settings["PAYOUTS_TOKEN"] = self.types("people", "add", "anna", "--role", "admin").strip()

    def types(self, *words: str, code: int = 0) -> str:
        done = run(*words, **self.settings)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.types(*words, "--json").splitlines()]


def test_after_the_receiver_was_down_catch_up_brings_the_missing_events_and_a_proof_says_so(
    mariadb_stack: Stack, sandbox: Sandbox
) -> None:
    stack = mariadb_stack
    payments = Payments(stack, sandbox, partners=2)
    # Nobody tries a delivery again within this test: what is missed comes by catch-up alone.
    sandbox.set_settings(retry_first_s=3600)
    operator = Operator(stack)
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    stack.start("receiver", "worker", "scheduler")
    payments.ask_for(4)
    wait_until("the first are paid", lambda: payments.states() == {"paid": 4}, 40)

    stack.kill("receiver")
    payments.ask_for(4)
    wait_until("Stripe has them", lambda: payments.states() == {"paid": 4, "sent": 4}, 40)
    wait_until("Stripe has paid them, and told nobody", lambda: payments.at_stripe() == {"paid": 8}, 40)
    stack.start("receiver")
    brought = operator.types("catch-up")

    wait_until("the missed ones are applied", lambda: payments.states() == {"paid": 8}, 40)
    stack.wait_applied()
    operator.types("proof", "make", "--all", "--since", began)
    payments.judge()

    assert "3 accounts walked" in brought
    found = stack.count("SELECT COUNT(*) FROM inbox WHERE source = 'catch-up'")
    assert found >= 12  # created, updated, paid of each
    proofs = operator.rows("proof", "list")
    assert len(proofs) == 3
    assert {(p["missing"], p["open"], p["dead"], p["unlisted"]) for p in proofs} == {(0, 0, 0, 0)}
    assert sum(int(str(p["listed"])) for p in proofs) == sum(
        int(str(p["applied"])) + int(str(p["ignored"])) for p in proofs
    )
    shown = operator.types("proof", "show", str(proofs[0]["id"]))
    assert shown.startswith("complete: everything that Stripe lists was in the inbox")
    assert "what it cannot know:" in shown
    assert operator.types("proof", "verify").count("whole, 1 proofs") == 3
    assert [row["kind"] for row in operator.rows("catch-up", "status")].count("mark") == 3
    acts = {row.action for row in stack.rows("SELECT action FROM audit WHERE actor = 'anna'")}
    assert {"catch_up.run", "proof.make"} <= acts
    with stack.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE proofs SET listed = 0 WHERE account = 'platform'")
    assert "broken: entry 1 was changed" in operator.types("proof", "verify", code=1)


def test_the_scheduler_and_the_workers_catch_up_by_themselves(sqlite_stack: Stack, sandbox: Sandbox) -> None:
    stack = sqlite_stack
    stack.env |= {"CATCH_UP_INTERVAL_S": "3600"}
    payments = Payments(stack, sandbox, partners=1)
    account = payments.partners[0].account
    for endpoint in sandbox.client().v1.webhook_endpoints.list().data:
        sandbox.client().v1.webhook_endpoints.delete(endpoint.id)
    # Its clock stays that of the service: what it creates in the future is not walked yet.
    sandbox.set_settings(in_transit_after_s=0.1, paid_after_s=0.2)
    sandbox.top_up(5_000, "eur", account)
    paid = sandbox.automatic_payout(account, 1_000, "eur")["id"]
    assert sandbox.settle()

    stack.start("worker", "scheduler")

    walked = "SELECT account FROM catch_up_walks WHERE status = 'done' AND actor = 'system:catch-up'"
    wait_until("platform and partner are walked", lambda: len(stack.rows(walked)) == 2, 40)
    wait_until("what was found is applied", lambda: stack.payouts().get(paid, {}).get("status") == "paid", 40)
