"""What people do is done whole or not at all, wherever the process is killed: kill -9 around the commit."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from payouts.calls import Call
from payouts.storage.invariants import all_invariants
from payouts.storage.queries import reading
from tests.support.story import Story

_DOING = """
import sys
from payouts import approving, canceling, holding, mending
from payouts.ids import IdMaker
from payouts.storage.engine import build_engine
from payouts.storage.unit import in_transaction
from tests.support.story import BEN
verbs = {
    "retry": mending.retry,
    "reverse": mending.reverse,
    "cancel": canceling.cancel,
    "approve": approving.approve,
    "hold": holding.hold_request,
}
url, verb, request_id, now_ms = sys.argv[1:]
do = lambda connection: verbs[verb](connection, int(request_id), BEN, "looked into", IdMaker(), int(now_ms))
in_transaction(build_engine(url, timeout_s=10, pool_size=1), do)
"""


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    made = Story(database_url)
    yield made
    made.engine.dispose()


def returned(story: Story) -> int:
    """A request whose transfer was made and whose payout was refused."""
    story.stripe.refuse = {Call.PAYOUT: "invalid_account_number"}
    request_id = story.ask()
    story.send(request_id)
    story.stripe.refuse = {}
    assert story.status(request_id) == "returned"
    return request_id


def awaiting(story: Story) -> int:
    request_id = story.ask()
    with story.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE payout_requests SET status = 'awaiting_approval', needs_approval = 1"
        )
    return request_id


def do(story: Story, verb: str, request_id: int, crash_at: str = "") -> int:
    """Do it in a process of its own; its exit code."""
    url = story.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _DOING, url, verb, str(request_id), str(story.clock())]
    return subprocess.run(command, env={**os.environ, "CRASH_AT": crash_at}, check=False).returncode


TABLES = (
    "payout_requests",
    "request_transitions",
    "legs",
    "postings",
    "holds",
    "approvals",
    "audit",
    "outbox",
)


def state(story: Story) -> list[Any]:
    counts = [story.value(f"SELECT COUNT(*) FROM {table}") for table in TABLES]
    return [*counts, story.value("SELECT status FROM payout_requests")]


GIVEN = {"retry": returned, "reverse": returned, "cancel": Story.ask, "approve": awaiting, "hold": Story.ask}


@pytest.mark.parametrize("verb", GIVEN)
def test_what_a_person_does_is_done_whole_or_not_at_all(story: Story, verb: str) -> None:
    request_id = GIVEN[verb](story)
    before = state(story)

    assert do(story, verb, request_id, "unit.before_commit") == -9
    assert state(story) == before

    assert do(story, verb, request_id, "unit.after_commit") == -9
    after = state(story)
    assert after != before
    assert do(story, verb, request_id) != 0  # it was done: the same again is refused, and changes nothing
    assert state(story) == after
    with reading(story.engine) as connection:
        assert [v for rule in all_invariants().values() for v in rule.find(connection)] == []
