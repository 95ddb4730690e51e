"""With a file, a restart continues: money, keys, events, payouts on their way and the clock."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import stripe

from tests.support.sandbox import KEY, ROOT, Listener, Sandbox, sandbox_process
from tests.support.servers import wait_until


def test_a_restart_continues(tmp_path: Path) -> None:
    flags = ("--file", str(tmp_path / "stripe.db"), "--seed", "4")
    with sandbox_process(*flags) as sandbox:
        sandbox.top_up(1000)
        partner = sandbox.account()
        client = sandbox.client()
        made = client.v1.transfers.create(
            {"amount": 600, "currency": "usd", "destination": partner}, {"idempotency_key": "a"}
        )
        sandbox.advance(86_400 - 600)
        payout = client.v1.payouts.create({"amount": 400, "currency": "usd"}, {"stripe_account": partner})
        events = [event.id for event in client.v1.events.list().data]
        was = sandbox.now()

    with sandbox_process(*flags) as sandbox:
        client = sandbox.client()
        again = client.v1.transfers.create(
            {"amount": 600, "currency": "usd", "destination": partner}, {"idempotency_key": "a"}
        )
        assert again.id == made.id
        assert sandbox.now() >= was
        assert [event.id for event in client.v1.events.list().data] == events
        sandbox.advance(10)
        assert client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner}).status == "paid"
        other = client.v1.transfers.create({"amount": 1, "currency": "usd", "destination": partner})
        assert other.id != made.id
        books = sandbox.books()
        assert books["sound"]
        assert books["accounts"][partner]["balance_minor"] == {"usd": 201}


def test_what_was_answered_before_a_kill_is_kept_and_what_was_not_delivered_is_delivered(
    tmp_path: Path,
) -> None:
    file = tmp_path / "stripe.db"
    with Listener(status=503) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--api-key", KEY, "--file", str(file)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        sandbox = Sandbox(json.loads(process.stdout.readline())["listening"])
        sandbox.top_up(1000)
        partner = sandbox.account()
        sandbox.client().v1.webhook_endpoints.create(
            {"url": listener.url, "enabled_events": ["transfer.created"]}
        )
        made = sandbox.client().v1.transfers.create(
            {"amount": 600, "currency": "usd", "destination": partner}
        )
        wait_until("the first attempt", lambda: listener.got)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        sandbox.close()

        listener.status = 200
        with sandbox_process("--file", str(file)) as sandbox:
            assert sandbox.client().v1.transfers.retrieve(made.id).amount == 600
            sandbox.advance(60)
            assert sandbox.stats()["deliveries"]["taken"] == 1
        assert [event["data"]["object"]["id"] for event in listener.events()][-1] == made.id


def test_it_ends_well_when_told_to_stop() -> None:
    process = subprocess.Popen([sys.executable, "-m", "sandbox"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGTERM)

    process.communicate(timeout=10)
    assert process.returncode == 0


def test_the_key_that_was_given_is_the_only_one_taken() -> None:
    with sandbox_process() as sandbox:
        client = stripe.StripeClient("sk_test_other", base_addresses={"api": sandbox.url})
        try:
            client.v1.balance.retrieve()
        except stripe.AuthenticationError as error:
            assert error.http_status == 401  # noqa: PT017 - the sandbox must still run here
        else:
            raise AssertionError("a wrong key was taken")


def test_a_file_of_another_seed_is_refused(tmp_path: Path) -> None:
    file = str(tmp_path / "stripe.db")
    with sandbox_process("--file", file, "--seed", "1"):
        pass

    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "--file", file, "--seed", "2"],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=ROOT,
        check=False,
    )

    assert done.returncode == 1
    assert "--seed 1" in done.stderr
