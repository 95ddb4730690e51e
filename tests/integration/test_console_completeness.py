"""Completeness in the console: days on a calendar, proofs, walks, and who may begin one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from payouts.clock import now_ms
from payouts.people import Role
from payouts.walks import DAY_S, Walks
from tests.support.catching_up import ACCOUNT, Catcher
from tests.support.databases import migrated_file
from tests.support.sent import Sent, keep_messages
from tests.support.site import Site, hidden_fields

CATCH_UP, PROVE = "/completeness/catch-up", "/completeness/prove"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


@pytest.fixture
def sent(site: Site) -> Sent:
    return keep_messages(site)


@pytest.fixture
def catcher(site: Site, sent: Sent) -> Catcher:
    made = Catcher(site.engine)
    made.clock.now_ms = now_ms()
    return made


def day(back: int) -> str:
    return (datetime.now(UTC) - timedelta(days=back)).date().isoformat()


def state(site: Site, on: str) -> str:
    data = site.visit().json(f"/completeness?account={ACCOUNT}&month={on[:7]}")
    return str({each["day"]: each["state"] for each in data["days"]}[on])


def asked_and_walked(site: Site, catcher: Catcher, on: str) -> str:
    """Somebody asks for a proof of a day, and a worker makes it."""
    anna = site.visit("anna", Role.OPERATOR)
    page = f"/completeness?account={ACCOUNT}"
    said = anna.send(page, PROVE, account=ACCOUNT, day=on)
    walk_id = catcher.value("SELECT MAX(id) FROM catch_up_walks")
    catcher.go_on(catcher.found(walk_id))
    return said


def test_a_day_is_proven_once_somebody_asks_and_a_worker_walked_it(
    site: Site, catcher: Catcher, sent: Sent
) -> None:
    assert state(site, day(2)) == "not_proven"
    assert "prove " + day(2) in asked_and_walked(site, catcher, day(2))
    assert state(site, day(2)) == "proven"
    assert state(site, day(0)) == "going_on"
    assert state(site, day(40)) == "too_old"
    walk_id = catcher.value("SELECT MAX(id) FROM catch_up_walks")
    assert sent.all == [("catch_up", (walk_id,))]


def test_a_day_with_finds_says_how_many_and_leads_to_its_proof(site: Site, catcher: Catcher) -> None:
    catcher.clock.now_ms -= 2 * DAY_S * 1000
    catcher.happens(3)
    catcher.clock.now_ms = now_ms()
    asked_and_walked(site, catcher, day(2))
    assert state(site, day(2)) == "found"
    anna = site.visit()
    assert "3 events had been missing" in anna.reads(f"/completeness?account={ACCOUNT}&month={day(2)[:7]}")
    (row,) = anna.json(f"/completeness/proofs?account={ACCOUNT}")
    page = anna.reads(f"/completeness/proofs/{row['id']}")
    for shown in ("3 were missing and have been added", "fits its content", "this one follows it"):
        assert shown in page
    assert anna.json(f"/completeness/proofs/{ACCOUNT}/1")["id"] == row["id"]
    for missing in ("1", "x", f"{ACCOUNT}/2", f"{ACCOUNT}/x"):
        anna.get(f"/completeness/proofs/{missing}", 404)


def test_a_proof_that_was_changed_shows_it_and_so_does_its_chain(site: Site, catcher: Catcher) -> None:
    asked_and_walked(site, catcher, day(2))
    anna = site.visit()
    assert "None of its 1 proofs was changed" in anna.reads(f"/completeness/chains/{ACCOUNT}")
    with site.engine.begin() as connection:
        connection.execute(sa.text("UPDATE proofs SET listed = 7"))
    assert "it was changed" in anna.reads(f"/completeness/proofs/{ACCOUNT}/1")
    assert "entry 1 was changed" in anna.reads(f"/completeness/chains/{ACCOUNT}")
    anna.get("/completeness/chains/acct_none", 404)


def test_a_walk_that_is_asked_for_is_one_however_often_and_shows_its_progress(
    site: Site, catcher: Catcher
) -> None:
    catcher.happens(2)
    anna = site.visit("anna", Role.OPERATOR)
    page = "/completeness/walks"
    assert "Under way" in anna.send(page, CATCH_UP, account=ACCOUNT, since="1d", recipe="all")
    anna.send(page, CATCH_UP, account=ACCOUNT, since="1h", recipe="all")
    assert catcher.value("SELECT COUNT(*) FROM catch_up_walks") == 1
    walk_id = catcher.value("SELECT MAX(id) FROM catch_up_walks")
    go_on = f"/completeness/walks/{walk_id}/go-on"
    stale = hidden_fields(anna.get(page), go_on)
    assert "a worker goes on" in anna.send(page, go_on)
    catcher.go_on(catcher.found(walk_id))
    assert "2 listed, 2 added" in anna.reads(page)
    late = anna.client.post(go_on, data=stale)
    assert "there is nothing to go on with" in anna.reads(late.headers["location"])
    assert ACCOUNT not in str(anna.json("/completeness/accounts?account=acct_none"))
    assert "platform" in anna.reads("/completeness/accounts")


def test_a_walk_that_lost_its_message_is_taken_up_by_the_scheduler(site: Site, catcher: Catcher) -> None:
    anna = site.visit("anna", Role.OPERATOR)
    anna.send("/completeness/walks", CATCH_UP, account=ACCOUNT, since="1d", recipe="all")
    walk_id = catcher.value("SELECT MAX(id) FROM catch_up_walks")
    walks: Walks = catcher.walks(every_ms=0)
    assert walks.due() is None
    catcher.clock.pass_(minutes=10)
    assert walks.due() == walk_id


def test_what_cannot_be_walked_or_proven_is_refused_with_why(site: Site, sent: Sent) -> None:
    anna = site.visit("anna", Role.OPERATOR)
    page = "/completeness"
    assert "has not begun" in anna.send(page, PROVE, account=ACCOUNT, day=day(-2))
    assert "30 days ago" in anna.send(page, PROVE, account=ACCOUNT, day=day(45))
    assert "is no Stripe account" in anna.send(page, PROVE, account="nobody", day=day(1))
    assert "a recipe is" in anna.send(page, CATCH_UP, account=ACCOUNT, recipe="some")
    vera = site.visit("vera", Role.VIEWER)
    csrf = hidden_fields(vera.get(page), "/sign-out")["csrf"]
    for action in (CATCH_UP, PROVE, "/completeness/walks/1/go-on"):
        assert vera.client.post(action, data={"csrf": csrf, "account": ACCOUNT}).status_code == 403
    assert sent.all == []
