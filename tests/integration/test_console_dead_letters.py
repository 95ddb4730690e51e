"""Events, dead letters and replays in the console: understood, previewed, replayed, ignored."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from console.web.pages import dead, replays
from payouts.errors import PayoutsError
from payouts.people import Role
from payouts.sealing import SEALED
from payouts.states import EventStatus
from payouts.storage import dead_queries, replay_tables
from payouts.storage.queries import reading
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.site import Site, Visit, hidden_fields, words_of
from tests.support.world import World

SCRIPT = "<script>alert(1)</script>"


class BadAmountError(PayoutsError):
    """Cannot heal."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"), replay_confirm_above=2)
    yield made
    made.close()


def failing(text: str) -> Callable[..., Any]:
    def raise_it(*_: Any, **__: Any) -> Any:
        raise BadAmountError(text)

    return raise_it


def die(site: Site, *names: str, text: str = "the amount is odd") -> None:
    """Events that die of one cause; a replay would apply them."""
    world = World(site.engine)
    ids = world.add(*(event_body(f"evt_{n}", "paid", payout_object(f"po_{n}", "paid")) for n in names))
    world.apply(ids, failing(text))
    assert set(world.statuses().values()) == {EventStatus.DEAD}


def group_of(site: Site) -> str:
    with reading(site.engine) as connection:
        return str(dead_queries.groups(connection)[0]["fingerprint"])


def status_of(site: Site, event_id: str) -> str:
    return World(site.engine).statuses()[event_id]


def replays_asked(site: Site) -> list[Any]:
    with site.engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT id, status, total FROM replays")))


def preview_of(visit: Visit, query: str) -> tuple[str, str]:
    html = visit.get(f"/replays/preview?{query}")
    return html, words_of(html)


def test_a_dead_event_says_why_and_leads_to_what_a_replay_would_change(site: Site) -> None:
    die(site, "one")
    anna = site.visit()
    assert "BadAmountError" in anna.reads("/dead")
    cause = anna.reads(f"/dead/{group_of(site)}")
    assert "the amount is odd" in cause
    assert "evt_one" in cause
    html = anna.get("/events/evt_one")
    assert "This event is dead." in words_of(html)
    assert re.search(r"BadAmountError: the amount is odd \(in \S+\)", words_of(html))
    link = re.search(r'href="(/replays/preview\?[^"]*)"', html)
    assert link is not None
    shown = anna.reads(unescape(link[1]))
    assert "new → paid po_one" in shown
    assert status_of(site, "evt_one") == EventStatus.DEAD  # only looked at


def test_a_replay_is_asked_for_from_its_preview_and_followed(site: Site) -> None:
    die(site, "one")
    anna = site.visit()
    page = anna.send("/replays/preview?event=evt_one", "/replays", reason="mended", rate="50")
    assert "its events are found now" in page
    assert "evt_one" in page
    [row] = replays_asked(site)
    at = f"/replays/rep_{row.id}"
    assert "50 events a second" in anna.reads(at)
    assert "runs at 7" in anna.send(at, f"{at}/rate", rate="7")
    assert "is called off" in anna.send(at, f"{at}/cancel", reason="not now")
    # A page that was open before: told, and nothing happens twice.
    form = {"csrf": hidden_fields(anna.get(at), "/sign-out")["csrf"], "back": at, "reason": "again"}
    late = anna.client.post(f"{at}/cancel", data=form)
    assert "is over" in anna.reads(late.headers["location"])
    assert f"rep_{row.id}" in anna.reads("/replays")


@pytest.mark.parametrize("many", [1, 100])
def test_a_cause_is_narrowed_however_many_events_it_has(
    site: Site, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(dead, "MANY", many)
    die(site, "one", "two")
    anna, group = site.visit(), group_of(site)
    account = anna.json(f"/dead/{group}")["events"][0]["account"]
    for filters, found in (
        ("status=dead", ["evt_two", "evt_one"]),
        (f"account={account}&type=payout.paid", ["evt_two", "evt_one"]),
        (f"account={account}&status=dismissed", []),
        ("type=payout.failed", []),
    ):
        shown = anna.json(f"/dead/{group}?{filters}")["events"]
        assert [event["event_id"] for event in shown] == found


def test_a_preview_of_many_events_tries_some_at_once_and_more_if_asked_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "TRIED_FIRST", 2)
    die(site, "one", "two", "three")
    anna, query = site.visit(), f"group={group_of(site)}&status=dead"
    html, words = preview_of(anna, query)
    assert "Tried: the first 2 of 3." in words
    link = re.search(r'<a href="([^"]*)">Try all of them</a>', html)
    assert link
    whole = anna.reads(unescape(link[1]))
    assert "3 events tried" in whole
    assert "Tried: the first" not in whole
    assert anna.json(f"/replays/preview?{query}")["tried"] == 3


def test_of_a_very_large_replay_the_first_events_of_each_outcome_are_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [("applied", "paid")] * 5 + [("failed", "odd")] * 2 + [("failed", "late")] * 2
    with site.engine.begin() as connection:
        connection.execute(sa.insert(replay_tables.replays), a_replay(total=9, applied=5, failed=4))
        kept = [an_item(number, *item) for number, item in enumerate(items, 1)]
        connection.execute(sa.insert(replay_tables.replay_items), kept)
    anna = site.visit()
    whole = anna.reads("/replays/rep_1")
    assert "5 applied paid" in whole
    assert "Counted among" not in whole
    monkeypatch.setattr(replays, "COUNTED_MOST", 3)
    some = anna.reads("/replays/rep_1")
    assert "Counted among the first 3 events of each outcome." in some
    assert "3 applied paid 2 failed odd 1 failed late" in some


def a_replay(**counts: int) -> dict[str, object]:
    zero = ("rate_per_s", "position", "until_id", "unchanged", "waiting", "created_at_ms", "lease_until_ms")
    texts = {"account": "platform", "reason": "mended", "requested_by": "anna", "version": "1"}
    selection = '{"type":"payout.paid"}'
    numbers = {**dict.fromkeys(zero, 0), "deaths": 0}
    return {**numbers, **texts, "id": 1, "status": "done", "selection": selection, **counts}


def an_item(number: int, outcome: str, detail: str) -> dict[str, object]:
    event = {"event_id": f"evt_{number}", "account": "acct_1", "status_before": "dead"}
    return {**event, "replay_id": 1, "inbox_id": number, "outcome": outcome, "detail": detail}


def test_a_large_replay_needs_another_person(site: Site) -> None:
    die(site, "one", "two", "three")
    anna = site.visit()
    anna.send(f"/replays/preview?group={group_of(site)}&status=dead", "/replays", reason="mended", rate="0")
    [row] = replays_asked(site)
    with site.engine.begin() as connection:
        connection.execute(sa.text("UPDATE replays SET status = 'awaiting_confirmation', total = 3"))
    at = f"/replays/rep_{row.id}"
    assert "another person must confirm it" in anna.reads(at)
    ben = site.visit("ben", Role.APPROVER)
    assert "begins" in ben.send(at, f"{at}/confirm")
    assert replays_asked(site)[0].status == "running"


def test_one_event_or_a_whole_cause_is_ignored_and_restored(site: Site) -> None:
    die(site, "one", "two")
    anna, group = site.visit(), group_of(site)
    anna.send("/events/evt_one", "/events/evt_one/ignore", reason="a test of theirs")
    assert status_of(site, "evt_one") == EventStatus.DISMISSED
    assert "Ignored by anna" in anna.reads("/events/evt_one")
    assert "1 event is ignored" in anna.send(f"/dead/{group}", f"/dead/{group}/ignore", reason="all of it")
    anna.send("/events/evt_one", "/events/evt_one/restore", reason="it was not")
    assert "1 event is dead again" in anna.send(f"/dead/{group}", f"/dead/{group}/restore", reason="nor this")
    assert {status_of(site, "evt_one"), status_of(site, "evt_two")} == {EventStatus.DEAD}
    assert "event.dismiss" in anna.reads("/audit?actor=anna")


def test_failed_events_are_found_by_a_part_of_their_error(site: Site) -> None:
    die(site, "one")
    world = World(site.engine)
    other = event_body("evt_two", "paid", payout_object("po_two", "paid"))
    world.apply(world.add(other), failing("the currency is unknown"))
    world.add(event_body("evt_three", "paid", payout_object("po_three", "paid")))
    anna = site.visit()
    assert [row["event_id"] for row in anna.json("/events?error=CURRENCY")] == ["evt_two"]
    assert [row["event_id"] for row in anna.json("/events?error=odd&status=dead")] == ["evt_one"]
    assert anna.json("/events?error=odd&status=dismissed") == []
    assert anna.json("/events?error=100%25") == []  # no wildcard
    assert len(anna.json("/events")) == 3


def test_an_event_that_was_decided_meanwhile_is_not_decided_again(site: Site) -> None:
    die(site, "one")
    anna = site.visit()
    kept = hidden_fields(anna.get("/events/evt_one"), "/events/evt_one/ignore")
    anna.send("/events/evt_one", "/events/evt_one/ignore", reason="a test of theirs")
    late = anna.client.post("/events/evt_one/ignore", data={**kept, "reason": "too late"})
    assert "nothing was changed" in anna.reads(late.headers["location"])
    record = anna.reads("/audit?subject=evt_one")
    assert "a test of theirs" in record
    assert "too late" not in record


def test_a_payload_that_cannot_be_opened_says_why_and_the_rest_is_shown(site: Site) -> None:
    die(site, "one")
    with site.engine.begin() as connection:
        sealed = SEALED + b"0" * 64
        connection.execute(sa.text("UPDATE inbox SET payload = :sealed"), {"sealed": sealed})
    anna = site.visit()
    found = anna.json("/events/evt_one")
    assert found["payload"] is None
    assert found["payload_missing"]
    shown = anna.reads("/events/evt_one")
    assert found["payload_missing"] in shown
    assert "BadAmountError" in shown


def test_who_only_looks_sees_no_verb_and_is_refused(site: Site) -> None:
    die(site, "one")
    vera, group = site.visit("vera", Role.VIEWER), group_of(site)
    for page in ("/events/evt_one", f"/dead/{group}", "/replays/preview?event=evt_one"):
        assert '<form method="post" action="/sign-out">' in vera.get(page)
        assert len(re.findall(r'<form method="post"', vera.get(page))) == 1
    csrf = hidden_fields(vera.get("/"), "/sign-out")["csrf"]
    for action in (
        "/events/evt_one/ignore",
        f"/dead/{group}/ignore",
        "/replays",
        "/events/evt_one/unredacted",
    ):
        sent = vera.client.post(action, data={"csrf": csrf, "reason": "x", "event": "evt_one"})
        assert sent.status_code == 403
    assert status_of(site, "evt_one") == EventStatus.DEAD
    assert replays_asked(site) == []


def test_the_payload_is_redacted_and_the_whole_of_it_is_for_admins_and_on_record(site: Site) -> None:
    body = event_body("evt_one", "paid", {**payout_object("po_one", "paid"), "email": "ann@example.com"})
    World(site.engine).add(body)
    olga = site.visit("olga", Role.OPERATOR)
    shown = olga.get("/events/evt_one")
    assert "ann@example.com" not in shown
    csrf = hidden_fields(shown, "/sign-out")["csrf"]
    form = {"csrf": csrf, "reason": "curious"}
    refused = olga.client.post("/events/evt_one/unredacted", data=form)
    assert refused.status_code == 403
    assert "ann@example.com" not in refused.text
    anna = site.visit()
    assert "say why" in anna.send("/events/evt_one", "/events/evt_one/unredacted", reason=" ")
    whole = anna.sent("/events/evt_one", "/events/evt_one/unredacted", reason="the bank asks")
    assert "ann@example.com" in whole.text
    assert 'href="/events/evt_one?format=json"' in whole.text  # it is at no address of its own
    assert anna.client.get("/events/evt_one/unredacted").headers["location"] == "/events/evt_one"
    record = anna.reads("/audit?subject=event:evt_one")
    assert "the bank asks" in record
    assert "curious" not in record


def test_what_comes_from_outside_is_shown_and_never_run(site: Site) -> None:
    world = World(site.engine)
    made = {**payout_object(f"po_{SCRIPT}", "paid"), "description": f"\"' {SCRIPT} ‮"}
    ids = world.add(event_body("evt_bad", "paid", made, account=f"acct_{SCRIPT}"))
    world.apply(ids, failing(f"odd: {SCRIPT}"))
    anna = site.visit()
    group = group_of(site)
    for page in (
        *("/events", "/events/evt_bad", "/dead", f"/dead/{group}", "/replays/preview?event=evt_bad"),
        *(f"/dead/{group}?type={SCRIPT}", f"/events?object={SCRIPT}", f"/find?q={SCRIPT}"),
    ):
        html = anna.client.get(page, follow_redirects=True).text
        assert SCRIPT not in html, page
    assert "&lt;script&gt;" in anna.get("/events/evt_bad")


def test_what_cannot_be_read_is_refused_in_words(site: Site) -> None:
    anna = site.visit()
    assert "say which events" in words_of(anna.get("/replays/preview", status=400))
    assert "is no event" in words_of(anna.get("/replays/preview?event=po_1", status=400))
    assert "no event fits" in words_of(anna.get("/replays/preview?type=none.at_all", status=404))
    die(site, "one")
    for missing in ("event=evt_none", "event=evt_one&event=evt_none"):
        told = words_of(anna.get(f"/replays/preview?{missing}", status=404))
        assert "there is no such event in the inbox: evt_none" in told
    assert "is no time" in words_of(anna.get("/events?since=yesterday", status=400))
    anna.get("/events/evt_none", status=404)
    anna.get("/dead/nonsense", status=404)
    anna.get("/replays/rep_1", status=404)
    anna.get("/replays/nonsense", status=400)


def test_programs_read_the_same_pages_as_json_and_act_by_their_token(site: Site) -> None:
    die(site, "one")
    client, token = site.client(), site.token("olga", Role.OPERATOR)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    assert client.get("/dead", headers=headers).json()[0]["dead"] == 1
    changes = client.get("/replays/preview?event=evt_one", headers=headers).json()["changes"]
    assert changes[0]["subject"] == "po_one"
    asked = client.post("/replays", headers=headers, data={"event": "evt_one", "reason": "by a script"})
    assert asked.json()["done"]["replay"].startswith("rep_")
    refused = client.post("/replays", headers=headers, data={"event": "evt_one", "reason": ""})
    assert (refused.status_code, refused.json()["error"]) == (409, "reason_missing")
