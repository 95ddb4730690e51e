"""`payouts payout show` and the verbs about what came back or is unclear, as operators use them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.main import app
from payouts.calls import Call
from payouts.clock import iso, now_ms
from payouts.errors import PayoutsError
from payouts.timeline import Kind
from tests.support.lives import event_body, payout_object
from tests.support.servers import RedisServer
from tests.support.story import ANNA, Story
from workers.messages import PAYOUTS_QUEUE, Messages

NO_REDIS = "redis://127.0.0.1:9/0"


class Desk:
    """The command in this process, on a story's database, as whoever is named."""

    def __init__(self, url: str) -> None:
        self.story = Story(url)
        self.environment = {"DATABASE_URL": url, "REDIS_URL": NO_REDIS, "COLUMNS": "300"}
        self.tokens: dict[str, str] = {}
        self.tokens = {"anna": self.ok("people", "add", "anna", "--role", "admin").strip()}
        for name, role in (("ben", "approver"), ("olga", "operator")):
            self.tokens[name] = self.ok("people", "add", name, "--role", role).strip()

    def ok(self, *words: str, by: str = "anna") -> str:
        """What a command says. Raises what it fails with."""
        token = {"PAYOUTS_TOKEN": self.tokens[by]} if by in self.tokens else {}
        done = CliRunner().invoke(app, words, env={**self.environment, **token}, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def shown(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("payout", "show", *words, "--json"))
        return found


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    made = Desk(database_url)
    yield made
    made.story.engine.dispose()


def returned(story: Story) -> str:
    """A payout that Stripe refused after its transfer."""
    request_id = story.ask(reference="invoice-7")
    story.stripe.refuse = {Call.PAYOUT: "invalid_account_number"}
    story.send(request_id)
    story.stripe.refuse = {}
    return f"pay_{request_id}"


def unclear(story: Story) -> str:
    """A payout whose transfer got no answer until its key had run out."""
    request_id = story.ask()
    story.stripe.faults = ["lost before"]
    story.send(request_id)
    story.clock.pass_(hours=24)
    story.send(request_id)
    return f"pay_{request_id}"


def go_on(story: Story, payout: str) -> None:
    """What a worker does now."""
    story.clock.now_ms = now_ms() + 1_000
    story.send(int(payout.removeprefix("pay_")))


def test_the_table_shows_where_a_payout_stands_and_how_it_came_there(desk: Desk) -> None:
    payout = returned(desk.story)
    said = desk.ok("payout", "show", "invoice-7")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert f"payout {payout}" in lines
    assert "partner partner-1 (Partner 1, acct_1)" in lines
    assert "status returned" in lines
    assert "waits for a person: retry or reverse" in lines
    assert "transfer tr_1 120.50 EUR done –" in lines
    assert "returned 120.50 EUR" in lines
    assert any(line.endswith("posted – payout_refused: in_transit → returned 120.50 EUR") for line in lines)


def test_the_table_of_the_past_says_so_and_shows_what_was_known(desk: Desk) -> None:
    payout = returned(desk.story)
    asked = desk.shown(payout)["request"]["created_at"]
    assert desk.shown(payout, "--at", asked)["waits_for"] is None
    said = desk.ok("payout", "show", payout, "--at", asked)
    assert f"as it was known at {asked}" in said
    assert "not kept for that time: what it waited for" in said
    assert "queued" in said
    assert "tr_1" not in said
    with pytest.raises(PayoutsError, match="was not there yet"):
        desk.ok("payout", "show", payout, "--at", "2025-12-31")
    with pytest.raises(PayoutsError, match="'soon' is no time"):
        desk.ok("payout", "show", payout, "--at", "soon")
    assert desk.shown(payout, "--at", "0m ago")["timeline"] == desk.shown(payout)["timeline"]


def test_each_time_in_the_json_can_be_given_back_and_shows_the_story_up_to_there(desk: Desk) -> None:
    story = desk.story
    request_id = story.ask()
    story.send(request_id)
    story.event("evt_1", "po_1", "paid")
    whole = desk.shown("po_1")
    for at in {entry["at"] for entry in whole["timeline"]}:
        part = desk.shown(whole["payout"], "--at", at)
        assert part["as_of"] == at
        told = [(entry["at"], entry["kind"]) for entry in part["timeline"]]
        assert told == [(e["at"], e["kind"]) for e in whole["timeline"] if e["at"] <= at]
        moves = [entry["details"]["to_status"] for entry in part["timeline"] if entry["kind"] == "moved"]
        assert part["request"]["status"] == moves[-1]
    assert desk.shown(whole["request"]["id"]) == whole


def test_the_json_has_the_same_keys_for_a_payout_that_was_never_asked_for(desk: Desk) -> None:
    story = desk.story
    story.deliver(event_body("evt_1", "paid", payout_object("po_9", "paid")))
    foreign, asked = desk.shown("po_9"), desk.shown(str(story.ask()))
    assert foreign.keys() == asked.keys()
    assert (foreign["payout"], foreign["request"], foreign["partner"]) == (None, None, None)
    assert foreign["payouts"][0]["status"] == "paid"
    entries = [*foreign["timeline"], *asked["timeline"]]
    assert {tuple(entry) for entry in entries} == {("at", "kind", "actor", "text", "details")}
    assert "po_9" in desk.ok("payout", "show", "po_9")


def test_what_came_back_is_retried_by_a_person_and_a_worker_is_told(
    desk: Desk, redis_server: RedisServer
) -> None:
    payout = returned(desk.story)
    desk.environment["REDIS_URL"] = redis_server.url
    said = desk.ok("payout", "retry", payout, "--reason", "new bank account", by="olga")
    assert said == f"{payout}: 120.50 EUR is paid out again\n"
    assert Messages(redis_server.client, "payouts").waiting(PAYOUTS_QUEUE) == 1
    go_on(desk.story, payout)
    shown = desk.shown(payout)
    assert shown["request"]["status"] == "sent"
    assert [leg["stripe_id"] for leg in shown["legs"]] == ["tr_1", None, "po_1"]
    assert ("olga", "request.retry: new bank account") in [(e["actor"], e["text"]) for e in shown["timeline"]]


def test_what_came_back_is_reversed_although_redis_does_not_answer(desk: Desk) -> None:
    payout = returned(desk.story)
    done = json.loads(desk.ok("payout", "reverse", payout, "--reason", "the partner left", "--json"))
    assert (done["payout"], done["status"]) == (payout, "reversing")
    go_on(desk.story, payout)
    assert desk.shown(payout)["request"]["status"] == "reversed"


def test_an_unclear_payout_is_looked_for_and_only_another_person_says_it_was_never_made(desk: Desk) -> None:
    story = desk.story
    payout = unclear(story)
    assert desk.shown(payout)["waits_for"]["text"] == "a person: look or never-made"
    desk.ok("payout", "look", payout, "--reason", "once more", by="olga")
    go_on(story, payout)
    assert desk.shown(payout)["request"]["status"] == "unclear"
    assert len(story.stripe.calls) == 1

    with pytest.raises(PayoutsError, match=r"scope approve"):
        desk.ok("payout", "never-made", payout, "--reason", "I looked", by="olga")
    with pytest.raises(PayoutsError, match="somebody else"):
        desk.ok("payout", "never-made", payout, "--reason", "I looked", by="anna")
    desk.ok("payout", "never-made", payout, "--reason", "I looked", by="ben")
    go_on(story, payout)

    shown = desk.shown(payout)
    assert shown["request"]["status"] == "sent"
    attempts = [e["details"]["status"] for e in shown["timeline"] if e["kind"] == "attempt"]
    assert attempts == ["released", "succeeded", "succeeded"]


@pytest.mark.parametrize("verb", ["retry", "reverse", "look", "never-made"])
def test_a_verb_is_refused_where_it_does_not_fit_and_changes_nothing(desk: Desk, verb: str) -> None:
    payout = f"pay_{desk.story.ask()}"
    before = desk.shown(payout)
    with pytest.raises(PayoutsError, match="is queued"):
        desk.ok("payout", verb, payout, "--reason", "because", by="ben" if verb == "never-made" else "olga")
    with pytest.raises(PayoutsError, match="is no requested payout"):
        desk.ok("payout", verb, "po_1", "--reason", "because")
    assert desk.shown(payout) == before


def test_a_payout_that_waits_says_for_what_and_until_when(desk: Desk) -> None:
    story = desk.story
    request_id = story.ask()
    story.stripe.faults = ["no money"]
    story.send(request_id)
    waits = desk.shown(str(request_id))["waits_for"]
    assert waits["code"] == "platform_balance"
    assert waits["until"] == iso(story.clock() + 3_600_000)
    said = " ".join(desk.ok("payout", "show", str(request_id)).split())
    assert "waits for Stripe said balance_insufficient, until" in said


def test_what_others_wrote_cannot_steer_the_terminal(desk: Desk) -> None:
    payout = f"pay_{desk.story.ask(reference='a b')}"
    with desk.story.happens() as connection:
        connection.exec_driver_sql(
            "UPDATE payout_requests SET blocked = 'x', blocked_text = 'a\x1b[31m[bold]b'"
        )
    said = desk.ok("payout", "show", payout)
    assert "\x1b" not in said
    assert "[bold]b" in said
    assert ANNA.name in said


def test_the_page_about_histories_names_the_keys_the_kinds_and_the_commands(desk: Desk) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "history.md").read_text()
    keys = page.partition("the same keys:")[2].partition(". Each entry")[0]
    assert re.findall(r"`(\w+)`", keys) == list(desk.shown(str(desk.story.ask())))
    kinds = page.partition("| what | what it says |")[2].partition("\n\n")[0]
    named = [name for line in kinds.splitlines()[2:] for name in line.split("|")[1].strip().split(", ")]
    assert [name.replace(" ", "_") for name in named] == list(Kind)
    for verb in set(re.findall(r"payouts payout ([a-z-]+)", page)):
        assert "Usage" in desk.ok("payout", verb, "--help")
