"""The timetable of maintenance is kept: reminders, e-mail to partners who are paid often, and a report."""

import json
from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts import forewarning, maintenance
from payouts.clock import iso, now_ms
from payouts.forewarning import CALLED_OFF, PLANNED, Forewarner
from payouts.letters.letter import letter_of
from payouts.letters.rendering import House, Renderer
from payouts.notices import Notice
from payouts.overview import Mode, Overviewer
from payouts.partner import Partner, PartnerState
from payouts.reminding import MaintenanceClerk
from payouts.storage.minutes import Minutes
from payouts.storage.unit import in_transaction
from payouts.timetable import DAY_MS, REMINDER, REPORT
from payouts.window import Window
from tests.support.money import Payer
from tests.support.requests import ANNA, a_partner, a_request, keep, migrated
from tests.support.small_stripe import SmallStripe

HOUR_MS = 3_600_000


class Clerk(Payer):
    """Partners, some of them paid often, a maintenance that comes, and the clerk that keeps its times."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, SmallStripe())
        self.clerk = self.another()

    def another(self, least: int = 4) -> MaintenanceClerk:
        """A clerk as that of another scheduler."""
        mode = Mode("test", False, False)
        seen = Minutes("tests")
        overviewer = Overviewer(self.engine, fakeredis.FakeRedis(), "tests", seen, [], mode, self.clock)
        parts = (self.engine, self.make_id, self.clock)
        forewarner = Forewarner(*parts, least) if least else None
        return MaintenanceClerk(*parts, lambda minutes: overviewer.look(window_minutes=minutes), forewarner)

    def paid(self, times: int, **values: Any) -> Partner:
        """A partner with so many payouts."""
        partner = a_partner(**values)
        requests = [a_request(partner, id=self.make_id()) for _ in range(times)]
        with self.engine.begin() as connection:
            keep(connection, partner, *requests)
        return partner

    def announce(self, start_h: float, end_h: float) -> Window:
        now_ms = self.clock()
        times = now_ms + int(start_h * HOUR_MS), now_ms + int(end_h * HOUR_MS)
        return self.do(
            lambda c: maintenance.announce(c, *times, "A new database.", ANNA, self.make_id, now_ms)
        )

    def step(self, verb: Any, window: Window, **more: Any) -> Window:
        return self.do(lambda c: verb(c, window.id, ANNA, "the plan", self.make_id, self.clock(), **more))

    def do(self, work: Any) -> Any:
        return in_transaction(self.engine, work)

    def told(self, name: str) -> list[Any]:
        with self.engine.connect() as connection:
            query = sa.text("SELECT * FROM outbox WHERE name = :name ORDER BY id")
            return list(connection.execute(query, {"name": name}))

    def written_to(self, name: str = PLANNED) -> set[str]:
        return {row.account for row in self.told(name)}

    def steps(self) -> list[str]:
        return [json.loads(row.body)["step"] for row in self.told(REMINDER)]


@pytest.fixture
def clerk(database_url: str) -> Iterator[Clerk]:
    with migrated(database_url) as engine:
        yield Clerk(engine)


def test_operators_are_reminded_once_for_each_step(clerk: Clerk) -> None:
    clerk.announce(48, 49)
    clerk.clerk.look()
    assert clerk.steps() == []
    for hours in (24, 22, 1, 0.5):
        clerk.clock.pass_(hours=hours)
        for _ in range(2):
            clerk.clerk.look()
            clerk.another().look()
    assert clerk.steps() == ["day_before", "hour_before"]


def test_a_day_before_partners_who_are_paid_often_get_an_e_mail_each(clerk: Clerk) -> None:
    often, seldom = clerk.paid(4), clerk.paid(3)
    blocked = clerk.paid(9, state=PartnerState.BLOCKED)
    clerk.announce(30, 31)
    clerk.clerk.look()
    assert clerk.written_to() == set()
    clerk.clock.pass_(hours=6)
    for _ in range(2):
        clerk.clerk.look()
        clerk.another().look()
    (row,) = clerk.told(PLANNED)
    assert row.account == often.account
    assert {seldom.account, blocked.account} & clerk.written_to() == set()
    letter = letter_of(Notice(row.id, row.account, row.name, None, None, row.body, row.created_at_ms))
    assert letter is not None
    assert "A new database." in Renderer(House("Us")).render(letter, often, "email-1").text


def test_payouts_of_more_than_a_month_ago_do_not_count(clerk: Clerk) -> None:
    clerk.paid(9)
    # The ids of requests say when they were made, by the clock of this machine.
    clerk.clock.now_ms = now_ms() + 31 * DAY_MS
    clerk.announce(2, 3)
    clerk.clerk.look()
    assert clerk.written_to() == set()


def test_none_means_nobody(clerk: Clerk) -> None:
    clerk.paid(9)
    clerk.announce(2, 3)
    clerk.another(0).look()
    assert clerk.written_to() == set()


def test_many_partners_are_written_to_page_by_page(clerk: Clerk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forewarning, "PARTNERS_AT_ONCE", 2)
    wanted = {clerk.paid(4).account for _ in range(5)}
    clerk.announce(2, 3)
    clerk.clerk.look()
    assert clerk.written_to() == wanted


def test_who_was_written_to_hears_that_it_does_not_take_place(clerk: Clerk) -> None:
    often = clerk.paid(4)
    window = clerk.announce(2, 3)
    clerk.clerk.look()
    later = clerk.paid(4)
    clerk.step(maintenance.call_off, window)
    for _ in range(2):
        clerk.clerk.look()
        clerk.another().look()
    assert clerk.written_to(CALLED_OFF) == {often.account}
    assert later.account not in clerk.written_to()


def test_a_start_that_moves_is_written_of_again(clerk: Clerk) -> None:
    clerk.paid(4)
    window = clerk.announce(2, 3)
    clerk.clerk.look()
    clerk.step(maintenance.change, window, starts_at_ms=window.starts_at_ms + HOUR_MS // 2)
    clerk.clerk.look()
    starts = [json.loads(row.body)["starts_at"] for row in clerk.told(PLANNED)]
    assert len(set(starts)) == 2


def letters(clerk: Clerk) -> list[tuple[str, str, str | None]]:
    """What partners were written: kind, start, and the start that it replaces."""
    rows = sorted([*clerk.told(PLANNED), *clerk.told(CALLED_OFF)], key=lambda row: row.id)
    said = [(row.name, json.loads(row.body)) for row in rows]
    return [(name, body["starts_at"], body.get("instead_of")) for name, body in said]


def test_who_was_written_to_of_a_start_hears_that_it_is_none_any_more(clerk: Clerk) -> None:
    clerk.paid(4)
    window = clerk.announce(2, 3)
    first = iso(window.starts_at_ms)
    clerk.clerk.look()
    times = {"starts_at_ms": window.starts_at_ms + 3 * DAY_MS, "ends_at_ms": window.ends_at_ms + 3 * DAY_MS}
    window = clerk.step(maintenance.change, window, **times)
    for _ in range(2):
        clerk.clerk.look()
        clerk.another().look()
    assert letters(clerk) == [(PLANNED, first, None), (CALLED_OFF, first, None)]
    clerk.step(maintenance.call_off, window)
    clerk.clerk.look()
    assert len(letters(clerk)) == 2


def test_who_was_written_to_hears_of_it_also_where_it_was_moved_and_called_off_at_once(clerk: Clerk) -> None:
    clerk.paid(4)
    window = clerk.announce(2, 3)
    first = iso(window.starts_at_ms)
    clerk.clerk.look()
    times = {"starts_at_ms": window.starts_at_ms + 3 * DAY_MS, "ends_at_ms": window.ends_at_ms + 3 * DAY_MS}
    clerk.step(maintenance.change, window, **times)
    clerk.step(maintenance.call_off, window)
    for _ in range(2):
        clerk.clerk.look()
        clerk.another().look()
    assert letters(clerk) == [(PLANNED, first, None), (CALLED_OFF, first, None)]


def test_a_start_that_is_moved_back_is_written_of_once_more(clerk: Clerk) -> None:
    clerk.paid(4)
    window = clerk.announce(2, 3)
    there, back = window.starts_at_ms + HOUR_MS // 2, window.starts_at_ms
    clerk.clerk.look()
    for starts_at_ms in (there, back):
        clerk.step(maintenance.change, window, starts_at_ms=starts_at_ms)
        for _ in range(2):
            clerk.clerk.look()
            clerk.another().look()
    assert letters(clerk) == [
        (PLANNED, iso(back), None),
        (PLANNED, iso(there), iso(back)),
        (PLANNED, iso(back), iso(there)),
    ]


def test_half_an_hour_after_its_end_a_report_tells_how_the_service_is(clerk: Clerk) -> None:
    window = clerk.announce(1, 2)
    clerk.step(maintenance.start, window)
    clerk.step(maintenance.end, window)
    clerk.clock.pass_(minutes=29)
    clerk.clerk.look()
    assert clerk.told(REPORT) == []
    clerk.clock.pass_(minutes=1)
    for _ in range(2):
        clerk.clerk.look()
        clerk.another().look()
    (row,) = clerk.told(REPORT)
    said = json.loads(row.body)
    assert said["level"] == "critical"
    for part in ("error rate – (unknown)", "no worker is seen", "0 dead events", "30 minutes after"):
        assert part in said["text"]


def test_maintenance_that_goes_on_too_long_is_told_of(clerk: Clerk) -> None:
    window = clerk.announce(1, 2)
    clerk.step(maintenance.start, window)
    clerk.clock.pass_(hours=2)
    clerk.clerk.look()
    assert clerk.steps() == ["overrun"]
