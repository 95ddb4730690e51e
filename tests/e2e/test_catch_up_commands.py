"""Catching up by command: stopped and gone on with, without an answer, with the objects compared."""

import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from payouts.storage.engine import build_engine
from tests.e2e.test_up import COMMAND, run
from tests.support.sandbox import Sandbox, sandbox_here
from tests.support.servers import free_port, wait_until

EVENTS = "GET /v1/events"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_here() as made:
        # Its clock stays that of the commands, so payouts live fast.
        made.set_settings(in_transit_after_s=0.1, paid_after_s=0.2)
        yield made


class Shell:
    """Commands on a database of their own, without a Redis: the workers would find what is added."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        url = f"sqlite:///{folder / 'payouts.db'}"
        redis_url = f"redis://127.0.0.1:{free_port()}/0"
        self.settings = {"DATABASE_URL": url, "REDIS_URL": redis_url, **sandbox.settings}
        self.types("db", "upgrade")
        self.settings["PAYOUTS_TOKEN"] = self.types("people", "add", "anna", "--role", "admin").strip()
        self.engine = build_engine(url, timeout_s=10, pool_size=2)

    def types(self, *words: str, code: int = 0, **settings: str) -> str:
        done = run(*words, **{**self.settings, **settings})
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def begins(self, *words: str) -> "subprocess.Popen[str]":
        env = {"PATH": os.environ["PATH"], "COLUMNS": "80", **self.settings}
        # Tests that run in the background of a shell ignore Ctrl-C, and so would what they start.
        heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, text=True, env=env, preexec_fn=heeding
        )

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(sql))]


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Iterator[Shell]:
    made = Shell(tmp_path, sandbox)
    yield made
    made.engine.dispose()


def test_stopped_by_ctrl_c_it_goes_on_after_the_last_page_and_says_how_far_back_it_can_go(
    shell: Shell, sandbox: Sandbox
) -> None:
    account = sandbox.account(available_minor=100_000)
    for _ in range(40):
        sandbox.automatic_payout(account, 100)
    assert sandbox.settle()  # four events of each payout
    sandbox.set_faults(slow=1.0, timeout_s=3, routes=[EVENTS])
    words = ("catch-up", "--account", account, "--since", "45d", "--all-types")

    process = shell.begins(*words)
    wait_until("a page is kept", lambda: shell.rows("SELECT 1 FROM catch_up_walks WHERE reads = 1"), 60)
    process.send_signal(signal.SIGINT)  # while it waits for the next one
    said, _ = process.communicate(timeout=60)
    sandbox.set_faults()
    again = shell.types(*words)

    assert process.returncode == 130
    assert "stopped: run it again to go on" in said
    assert "Stripe lists the events of 30 days" in again
    first, since = shell.rows("SELECT listed, added, reads, status FROM catch_up_walks ORDER BY id")
    assert first[0] == first[1] > 100
    assert first[2:] == (2, "done")
    assert since[1] == 0
    assert shell.rows("SELECT COUNT(*) FROM inbox WHERE source = 'catch-up'") == [first[:1]]
    status = shell.types("catch-up", "status").splitlines()
    assert status[1].startswith("platform ")  # walked until the service first ran; nobody is registered
    assert sum(account in line and "done" in line for line in status) == 2


def test_without_an_answer_it_fails_and_says_so_and_goes_on_when_there_is_one(
    shell: Shell, sandbox: Sandbox
) -> None:
    account = sandbox.account(available_minor=5_000)
    payout = sandbox.automatic_payout(account, 1_200)["id"]
    assert sandbox.settle()
    sandbox.plan(EVENTS, "cut_before", times=3)
    words = ("catch-up", "--account", account, "--recipe", "failed")

    assert "run it again to go on" in shell.types(*words, code=1)
    assert "1 accounts walked: 0 listed" in shell.types(*words)  # no endpoint failed: there is none
    assert "waits for an API key" in shell.types(*words, code=1, STRIPE_API_KEY="")

    compared = shell.types("catch-up", "--account", account, "--compare")
    assert "nothing differs" in compared
    assert shell.rows(f"SELECT COUNT(*) FROM inbox WHERE object_id = '{payout}'") == [(4,)]


def test_a_proof_needs_to_know_which_account_and_when(shell: Shell, sandbox: Sandbox) -> None:
    assert "--account" in shell.types("proof", "make", code=1)
    assert "30 days ago" in shell.types(
        *("proof", "make", "--account", "platform", "--since", "2020-01-01", "--until", "2020-01-02"), code=1
    )
    assert "there is no proof 7" in shell.types("proof", "show", "7", code=1)
    assert "nothing is proven yet" in shell.types("proof", "verify")
