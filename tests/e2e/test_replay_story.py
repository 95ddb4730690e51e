"""A bug makes a tenth of a day's events die. It is found, understood, mended, replayed and proven complete;
then the receiver is down for an hour, and what was missed is found."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.buggy_worker import is_met
from tests.support.operator import Operator
from tests.support.payments import Payments
from tests.support.sandbox import ROOT, Sandbox, sandbox_process
from tests.support.servers import wait_until
from tests.support.stack import Stack

PAYOUTS = 1_667
"""Three events each: created, on its way, paid."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_process() as made:
        yield made


class Story:
    """A partner whom Stripe pays on its own account: payouts that this service only hears of."""

    def __init__(self, stack: Stack, sandbox: Sandbox) -> None:
        self.stack, self.sandbox = stack, sandbox
        self.payments = Payments(stack, sandbox, partners=1)
        self.account = self.payments.partners[0].account
        sandbox.top_up(100_000_000, "eur", self.account)
        sandbox.set_settings(in_transit_after_s=0.2, paid_after_s=0.5, retry_first_s=3600)

    def pay(self, count: int, first_minor: int) -> list[str]:
        """So many payouts, each a cent more; Stripe's ids."""
        headers = {"Authorization": f"Bearer {self.sandbox.key}", "Stripe-Account": self.account}
        with httpx.Client(base_url=self.sandbox.url, headers=headers, timeout=60) as client:

            def one(number: int) -> str:
                form = {"amount": str(first_minor + number), "currency": "eur"}
                answer = client.post("/v1/payouts", data=form)
                assert answer.status_code == 200, answer.text
                return str(answer.json()["id"])

            with ThreadPoolExecutor(8) as pool:
                return list(pool.map(one, range(count)))

    def wait_for(self, events: int, within_s: float = 180) -> None:
        """Wait until so many events of payouts have come, and none is open."""
        count = "SELECT COUNT(*) FROM inbox WHERE type LIKE 'payout.%'"
        wait_until(f"{events} events came", lambda: self.stack.count(count) >= events, within_s)
        self.stack.wait_applied(within_s)


@pytest.fixture
def story(mariadb_stack: Stack, sandbox: Sandbox) -> Story:
    return Story(mariadb_stack, sandbox)


def test_what_a_bug_killed_is_found_understood_replayed_and_proven_complete(story: Story) -> None:
    stack = story.stack
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    anna = Operator(stack, "anna")
    ben = Operator(stack, "ben", admin=anna)
    stack.start("receiver", "scheduler")
    bug = {"EVENT_MAX_ATTEMPTS": "2", "BACKOFF_MS": "50", "PYTHONPATH": str(ROOT)}
    stack.launch("worker", "tests.support.buggy_worker", **bug)

    # A day of events, a tenth of which die in three different ways.
    paid = story.pay(PAYOUTS, first_minor=1_000)
    story.wait_for(3 * PAYOUTS)
    met = sum(is_met(1_000 + number) for number in range(PAYOUTS))
    dead = stack.count("SELECT COUNT(*) FROM inbox WHERE status = 'dead'")
    assert (met, dead) == (167, 501)

    # The operator sees three groups, not five hundred rows, and looks into one.
    groups = anna.rows("dead", "groups")
    assert {group["error_class"] for group in groups} == {"PayloadError", "KeyError", "ZeroDivisionError"}
    assert sum(group["dead"] for group in groups) == dead
    shown = anna.types("dead", "show", groups[0]["fingerprint"], "--traceback")
    assert "buggy_worker" in shown
    assert story.account in shown

    # A preview by the mended code says what a replay would change, and changes nothing.
    stack.stop("worker")
    preview = anna.rows("replay", "start", "--status", "dead", "--dry-run")
    assert len(preview) == met
    assert {tried["outcome"] for change in preview for tried in change["events"]} == {"applied"}
    moves = Counter(move["to_status"] for change in preview for move in change["written"]["moves"])
    assert moves == {"pending": met, "in_transit": met, "paid": met}
    assert stack.count("SELECT COUNT(*) FROM inbox WHERE status = 'dead'") == dead

    # The mended code runs. One command replays them: slower than live events, and to be called off.
    stack.start("worker")
    assert "say --yes" in anna.refused("replay", "start", "--status", "dead", "--reason", "the bug is mended")
    anna.types(
        "replay", "start", "--status", "dead", "--reason", "the bug is mended", "--rate", "20", "--yes"
    )
    [slow] = anna.rows("replay", "list", "--limit", "1")
    replay = f"rep_{slow['id']}"
    live = story.pay(50, first_minor=1_000_001)
    began_s = time.monotonic()
    wait_until("live events are applied", lambda: paid_ones(stack, live) == 50, 60)
    live_took_s = time.monotonic() - began_s
    anna.types("replay", "cancel", replay, "--reason", "in one go, later")
    [canceled] = anna.rows("replay", "show", replay)
    assert canceled["status"] == "canceled"
    assert 0 < canceled["applied"] < dead
    assert canceled["applied"] <= 20 * (live_took_s + 30)

    # The rest without a limit, which takes a second person where it is large.
    stack.stop("worker")
    stack.start("worker", REPLAY_CONFIRM_ABOVE="100")
    anna.types("replay", "start", "--status", "dead", "--reason", "the rest", "--rate", "0", "--yes")
    [rest] = anna.rows("replay", "list", "--limit", "1")
    replay = f"rep_{rest['id']}"
    wait_until(
        "it waits", lambda: anna.rows("replay", "show", replay)[0]["status"] == "awaiting_confirmation", 30
    )
    assert "another person" in anna.refused("replay", "confirm", replay)
    ben.types("replay", "confirm", replay)
    anna.types("replay", "show", replay, "--wait")

    # The report says what came of each.
    [report] = anna.rows("replay", "show", replay)
    assert (report["status"], report["confirmed_by"]) == ("done", "ben")
    assert report["applied"] == report["total"] == dead - canceled["applied"]
    events = anna.rows("replay", "show", replay, "--events")[1:]
    assert {(event["status_before"], event["outcome"], event["status_now"]) for event in events} == {
        ("dead", "applied", "applied")
    }
    assert anna.rows("dead", "groups") == []
    assert {state["status"] for state in stack.payouts().values()} == {"paid"}
    assert set(stack.payouts()) == {*paid, *live}

    # The receiver is down; what it missed is brought, and a proof of the day finds nothing missing.
    stack.kill("receiver")
    missed = story.pay(20, first_minor=2_000_001)
    story.sandbox.settle(30)
    assert paid_ones(stack, missed) == 0
    stack.start("receiver")
    anna.types("catch-up")
    wait_until("the missed ones are applied", lambda: paid_ones(stack, missed) == 20, 60)
    stack.wait_applied(60)
    anna.types("proof", "make", "--all", "--since", began)
    proofs = anna.rows("proof", "list")
    assert {(proof["missing"], proof["open"], proof["dead"]) for proof in proofs} == {(0, 0, 0)}
    assert sum(proof["listed"] for proof in proofs) >= 3 * (PAYOUTS + 50 + 20)
    anna.types("proof", "verify")
    anna.types("audit", "verify")

    # And replaying all of it changes nothing.
    before = state_of(stack)
    anna.types(
        "replay", "start", "--since", began, "--reason", "to see that it is safe", "--rate", "0", "--yes"
    )
    [everything] = anna.rows("replay", "list", "--limit", "1")
    replay = f"rep_{everything['id']}"
    wait_until(
        "it waits", lambda: anna.rows("replay", "show", replay)[0]["status"] == "awaiting_confirmation", 60
    )
    ben.types("replay", "confirm", replay)
    anna.types("replay", "show", replay, "--wait")
    [report] = anna.rows("replay", "show", replay)
    assert report["total"] >= 3 * (PAYOUTS + 50 + 20)
    assert report["failed"] == report["waiting"] == 0
    assert state_of(stack) == before


def replayed(operator: Operator, *words: str) -> str:
    """Ask for a replay; its name."""
    operator.types("replay", "start", *words, "--yes")
    [newest] = operator.rows("replay", "list", "--limit", "1")
    return f"rep_{newest['id']}"


def wait_for_confirmation(operator: Operator, replay: str) -> None:
    def waits() -> bool:
        return bool(operator.rows("replay", "show", replay)[0]["status"] == "awaiting_confirmation")

    wait_until("a second person is waited for", waits, 60)


def paid_ones(stack: Stack, payouts: list[str]) -> int:
    held = stack.payouts()
    return sum(held.get(payout, {}).get("status") == "paid" for payout in payouts)


def state_of(stack: Stack) -> dict[str, list[Any]]:
    queries = {
        "payouts": "SELECT * FROM payouts ORDER BY id",
        "moves": "SELECT * FROM payout_transitions ORDER BY id",
        "postings": "SELECT * FROM postings ORDER BY id",
        "notices": "SELECT name, body FROM outbox WHERE name NOT LIKE 'alert.%' ORDER BY id",
        "events": "SELECT id, status, reason FROM inbox ORDER BY id",
    }
    return {name: [tuple(row) for row in stack.rows(sql)] for name, sql in queries.items()}
