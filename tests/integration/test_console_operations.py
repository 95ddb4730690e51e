"""Operations in the console: stopping, maintenance, emergency mode, notices, scheduled runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from console.web import window
from payouts.clock import iso
from payouts.people import Role
from payouts.storage.partner_notices import PartnerNotice, insert_partner_notice
from payouts.storage.tables import outbox
from tests.support.databases import migrated_file
from tests.support.requests import a_partner, keep
from tests.support.servers import RedisServer
from tests.support.site import Site, hidden_fields, words_of

HOUR_MS = 3_600_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


def test_everything_is_stopped_and_let_go_on_and_a_late_second_press_is_told(site: Site) -> None:
    anna, ben = site.visit(), site.visit("ben", Role.OPERATOR)
    old_page = hidden_fields(ben.get("/operations"), "/operations/stop")
    assert "nothing is sent any more" in anna.send("/operations", "/operations/stop", reason="odd amounts")
    assert "odd amounts" in anna.reads("/operations")
    late = ben.client.post("/operations/stop", data={**old_page, "reason": "me too"})
    assert "already" in ben.reads(late.headers["location"])
    assert "payouts are sent again" in anna.send("/operations", "/operations/resume", reason="all is well")
    assert "Payouts are sent." in anna.reads("/operations")


def test_maintenance_is_announced_started_and_ended(site: Site) -> None:
    anna, now_ms = site.visit(), site.parts.clock()
    times = {"starts": iso(now_ms + HOUR_MS) or "", "ends": iso(now_ms + 2 * HOUR_MS) or ""}
    anna.send("/operations", "/operations/announce", **times, text="New disks.")
    assert "New disks." in anna.reads("/operations")
    assert "maintenance is started" in anna.send("/operations", "/operations/start", reason="it is time")
    assert "End maintenance" in anna.reads("/operations")
    assert "maintenance is ended" in anna.send("/operations", "/operations/end", reason="done")
    assert "is no time" in anna.send(
        "/operations", "/operations/announce", starts="noon", ends="one", text="x"
    )


def test_a_form_that_is_refused_comes_back_with_what_was_typed_and_no_other_does(site: Site) -> None:
    anna = site.visit()
    answer = anna.sent("/operations", "/operations/announce", starts="noon", ends="one", text="New <disks>.")
    page = anna.get(answer.headers["location"])
    assert 'name="starts" value="noon"' in page
    assert "New &lt;disks&gt;.</textarea>" in page
    assert page.count('<details class="verb" open>') == 1
    assert "noon" not in anna.get("/operations")  # it is shown once


def test_of_rows_whose_forms_go_to_one_address_only_the_refused_one_is_unfolded(site: Site) -> None:
    anna, at = site.visit(), "/operations/limits"
    for network in ("203.0.113.0/24", "198.51.100.0/24"):
        anna.send(at, f"{at}/block", address=network, reason="a flood", **{"for": "1d"})
    answer = anna.sent(at, f"{at}/unblock", address="203.0.113.0/24", reason=" ")
    page = anna.get(answer.headers["location"])
    assert page.count('<details class="verb" open>') == 1
    opened = page.partition('<details class="verb" open>')[2].partition("</details>")[0]
    assert "Requests from 203.0.113.0/24 are answered again" in opened


def test_what_is_not_there_says_so_and_leads_back(site: Site) -> None:
    anna = site.visit()
    for path in ("/nowhere", "/dead/", "/data/nonsense/list"):
        page = anna.get(path, status=404)
        assert 'href="/"' in page, path
    assert "there is no such page Back to the overview" in words_of(anna.get("/nowhere", status=404))
    assert site.client().get("/nowhere").text == "there is no such page\n"


def test_emergency_mode_is_switched_on_and_off(tmp_path: Path, redis_server: RedisServer) -> None:
    site = Site(migrated_file(tmp_path / "payouts.db"), redis_server.client)
    anna = site.visit()
    assert "emergency mode is on" in anna.send("/operations", "/operations/emergency-on", reason="disk full")
    assert "disk full" in anna.reads("/operations")
    assert "emergency mode is off" in anna.send("/operations", "/operations/emergency-off", reason="mended")
    assert "emergency.on" in anna.reads("/audit?actor=anna")
    site.close()


def test_who_only_looks_changes_nothing(site: Site) -> None:
    vera = site.visit("vera", Role.VIEWER)
    csrf = hidden_fields(vera.get("/operations"), "/sign-out")["csrf"]
    for verb in ("stop", "resume", "announce", "start", "end", "call-off", "emergency-on", "emergency-off"):
        sent = vera.client.post(f"/operations/{verb}", data={"csrf": csrf, "reason": "x"})
        assert sent.status_code == 403, verb


def test_notices_and_scheduled_runs_are_listed(site: Site) -> None:
    anna, now_ms = site.visit(), site.parts.clock()
    times = {"starts": iso(now_ms + HOUR_MS) or "", "ends": iso(now_ms + 2 * HOUR_MS) or ""}
    anna.send("/operations", "/operations/announce", **times, text="New disks.")
    assert "maintenance.announced" in anna.reads("/operations/notices")
    notice = anna.json("/operations/notices")[0]
    assert "New disks." in anna.reads(f"/operations/notices/{notice['id']}")
    assert "No run yet" in anna.reads("/operations/schedules")
    anna.get("/operations/notices/1", status=404)


def test_notices_of_a_name_are_looked_for_a_stretch_at_a_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.engine.begin() as connection:
        connection.execute(sa.insert(outbox), [a_notice(number) for number in range(1, 31)])
    monkeypatch.setattr(window, "LOOKED_AT", 10)
    anna = site.visit()
    rare = "/operations/notices?name=payout.failed"
    assert anna.json(rare) == []
    assert "10 rows were looked at" in anna.reads(rare)
    assert "Look further back" in anna.reads(f"{rare}&before=20")
    assert [row["id"] for row in anna.json(f"{rare}&before=10")] == ["3"]
    # Of an account with few of them all are looked at, and so are the few that nobody took.
    assert [row["id"] for row in anna.json(f"{rare}&account=acct_3")] == ["3"]
    assert [row["id"] for row in anna.json("/operations/notices?status=dead&name=payout.completed")] == ["2"]


def a_notice(number: int) -> dict[str, object]:
    return {
        "id": number,
        "account": f"acct_{number % 10}",
        "name": "payout.failed" if number == 3 else "payout.completed",
        "dedupe_key": str(number),
        "body": "{}",
        "status": "dead" if number == 2 else "delivered",
        "due_at_ms": 1,
        "created_at_ms": 1,
    }


def test_a_notice_shows_the_e_mail_that_it_makes(site: Site) -> None:
    partner = a_partner(name="<b>Nord</b>")
    body = {"amount_minor": 12_050, "currency": "eur", "request_id": "pay_7"}
    with site.engine.begin() as connection:
        keep(connection, partner)
        about = PartnerNotice("payout.sent", partner, site.parts.clock(), "sent", "1", body)
        insert_partner_notice(connection, about, site.parts.make_id)
    anna = site.visit()
    (row,) = anna.json("/operations/notices")
    page = anna.get(f"/operations/notices/{row['id']}")
    assert "Your payout of 120.50 EUR is on its way" in page
    assert "Hello &lt;b&gt;Nord&lt;/b&gt;," in page
    assert anna.json(f"/operations/notices/{row['id']}")["letter"]["to"] == partner.email
