"""Comparing with Stripe as operators meet it: through the command, and by the scheduler's rounds."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.states import RequestStatus
from payouts.storage.engine import build_engine
from tests.support.commands import run
from tests.support.requests import a_partner, a_request, keep
from tests.support.sandbox import Sandbox, sandbox_process
from tests.support.servers import RedisServer, wait_until
from tests.support.stack import Stack

WEEK_MS = 7 * 24 * 3_600_000


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_process() as made:
        yield made


def with_a_partner(url: str, account: str) -> None:
    """A partner whose request waits for a second person for a week."""
    long_ago_ms = now_ms() - WEEK_MS
    engine = build_engine(url, timeout_s=10, pool_size=1)
    partner = a_partner(account=account, currency="usd")
    row_id = IdMaker(lambda: long_ago_ms)()
    waiting = {"status": RequestStatus.AWAITING_APPROVAL, "created_at_ms": long_ago_ms, "id": row_id}
    with engine.begin() as connection:
        keep(connection, partner, a_request(partner, **waiting))
    engine.dispose()


def test_a_run_heals_what_it_can_and_says_what_to_do_about_the_rest(tmp_path: Path, sandbox: Sandbox) -> None:
    url = f"sqlite:///{tmp_path / 'payouts.db'}"
    assert run("db", "upgrade", DATABASE_URL=url).returncode == 0
    token = run("people", "add", "anna", "--role", "admin", DATABASE_URL=url).stdout.strip()
    account = sandbox.account(available_minor=5_000)
    unseen = sandbox.automatic_payout(account, 1_200)["id"]
    stray = sandbox.automatic_payout(account, 1_300, payout_leg="77")["id"]
    with_a_partner(url, account)

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        settings = {"DATABASE_URL": url, "PAYOUTS_TOKEN": token, **sandbox.settings}
        return run("reconcile", *words, **settings)

    healed = command("run", "--payout", unseen, "--account", account)
    assert healed.returncode == 0, healed.stderr
    assert healed.stdout.splitlines() == ["1 healed or gone: payouts reconcile list", "nothing differs"]
    found = command("run", "--payout", stray, "--account", account)
    assert found.returncode == 1
    assert f"missing_here {stray} on {account}" in found.stdout
    assert f"payouts reconcile run --payout {stray}" in found.stdout
    everything = command("run")
    assert everything.returncode == 1
    assert "is awaiting_approval for 168 h" in everything.stdout

    rows = [json.loads(line) for line in command("list", "--json").stdout.splitlines()]
    assert [(row["kind"], row["healed_at"] is None) for row in rows] == [
        ("request_stuck", True),
        ("missing_here", True),
        ("not_seen", False),
    ]
    still = command("list", "--open", "--kind", "missing_here").stdout
    assert stray in still
    assert unseen not in still
    assert "reconcile.run" in run("audit", "list", DATABASE_URL=url).stdout


def test_the_scheduler_begins_rounds_and_the_workers_take_every_step(
    tmp_path: Path, redis_server: RedisServer, sandbox: Sandbox
) -> None:
    url = f"sqlite:///{tmp_path / 'payouts.db'}"
    settings = {"RECONCILE_INTERVAL_S": "3600", **sandbox.settings}
    with Stack(tmp_path, url, redis_server.url, **settings) as stack:
        with_a_partner(url, sandbox.account())
        stack.start("worker", "scheduler")
        ended = "SELECT account FROM reconcile_progress WHERE ended_at_ms IS NOT NULL"
        wait_until("platform and partner are compared", lambda: len(stack.rows(ended)) == 2)
        wait_until(
            "the round is over",
            lambda: bool(stack.rows("SELECT id FROM reconcile_rounds WHERE ended_at_ms IS NOT NULL")),
        )
        told = stack.rows("SELECT body FROM outbox WHERE name = 'alert.difference'")
        assert [json.loads(row.body)["kind"] for row in told] == ["request_stuck"]
