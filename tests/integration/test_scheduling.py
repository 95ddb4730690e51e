"""Schedules ask for everybody once, whatever is killed in the middle and however many work on them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.ledger import LedgerKind
from payouts.partner import Partner, PartnerState
from payouts.scheduling import PARTNERS_AT_ONCE, Schedules
from payouts.storage.ledger_rows import partner_balances
from tests.support.requests import a_partner, keep, make_id, migrated, owe

DAY_MS = 86_400_000
MONDAY_MS = 1_795_392_000_000 + 3_600_000  # 2026-11-23T01:00:00Z
PARTNERS = 8

RUN = """
import sys
from payouts.ids import IdMaker
from payouts.scheduling import Schedules
from payouts.storage.engine import build_engine
engine = build_engine(sys.argv[1], timeout_s=30, pool_size=2)
Schedules(engine, lambda: int(sys.argv[2]), IdMaker()).run()
"""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with migrated(database_url) as engine:
        yield engine


def scheduled(engine: Engine, owed_minor: int = 10_000, schedule: str = "daily", **changes: Any) -> Partner:
    partner = a_partner(schedule=schedule, **changes)
    with engine.begin() as connection:
        keep(connection, partner)
        if owed_minor:
            owe(connection, partner, owed_minor)
    return partner


def run_at(engine: Engine, at_ms: int) -> None:
    """A scheduler that starts at that time and does all there is to do."""
    Schedules(engine, lambda: at_ms, make_id).run()


def requested(engine: Engine) -> list[tuple[int, int]]:
    """(partner, amount) of every request."""
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT partner_id, amount_minor FROM payout_requests ORDER BY id"))
        return [(row[0], row[1]) for row in rows]


def runs(engine: Engine, schedule: str) -> list[dict[str, Any]]:
    with engine.begin() as connection:
        query = sa.text("SELECT * FROM payout_batches WHERE schedule = :schedule ORDER BY planned_for")
        return [dict(row._mapping) for row in connection.execute(query, {"schedule": schedule})]


def test_everybody_whose_day_it_is_gets_all_that_is_due(engine: Engine) -> None:
    daily, weekly = scheduled(engine), scheduled(engine, 20_000, "weekly", schedule_day=0)
    last_of_month = scheduled(engine, 30_000, "monthly", schedule_day=31)
    scheduled(engine, schedule="weekly", schedule_day=1)
    scheduled(engine, schedule="none")

    run_at(engine, MONDAY_MS)
    assert requested(engine) == [(daily.id, 10_000), (weekly.id, 20_000)]

    run_at(engine, MONDAY_MS + 7 * DAY_MS)  # the 30th of November, a Monday
    assert (last_of_month.id, 30_000) in requested(engine)


def test_a_run_says_what_it_came_to(engine: Engine) -> None:
    scheduled(engine)
    scheduled(engine, 5_000, currency="usd")
    scheduled(engine, 0)
    scheduled(engine, 700, schedule_minimum_minor=1_000)
    scheduled(engine, state=PartnerState.BLOCKED)

    run_at(engine, MONDAY_MS)

    [run] = runs(engine, "daily")
    assert (run["planned_for"], run["status"]) == ("2026-11-23", "done")
    assert (run["partners"], run["requested"], run["skipped"]) == (5, 2, 3)
    assert run["amounts"] == '{"eur": 10000, "usd": 5000}'


def test_a_day_is_run_once_however_often_the_scheduler_starts(engine: Engine) -> None:
    partner = scheduled(engine)
    run_at(engine, MONDAY_MS)
    with engine.begin() as connection:
        owe(connection, partner, 4_000)

    run_at(engine, MONDAY_MS + 3_600_000)
    assert requested(engine) == [(partner.id, 10_000)]

    run_at(engine, MONDAY_MS + DAY_MS)
    assert requested(engine) == [(partner.id, 10_000), (partner.id, 4_000)]


def test_missed_days_are_caught_up_with_one_request(engine: Engine) -> None:
    daily = scheduled(engine)
    weekly = scheduled(engine, schedule="weekly", schedule_day=2)
    never = scheduled(engine, schedule="weekly", schedule_day=0)
    run_at(engine, MONDAY_MS + DAY_MS)
    assert requested(engine) == [(daily.id, 10_000)]
    with engine.begin() as connection:
        owe(connection, daily, 2_000)

    # when nothing ran from Wednesday to Friday
    run_at(engine, MONDAY_MS + 5 * DAY_MS)

    # then each that was due meanwhile is asked for once
    assert requested(engine)[1:] == [(daily.id, 2_000), (weekly.id, 10_000)]
    assert never.id not in dict(requested(engine))
    assert [run["planned_for"] for run in runs(engine, "daily")] == ["2026-11-24", "2026-11-28"]


def test_a_partner_is_not_paid_for_days_before_it_was_registered(engine: Engine) -> None:
    run_at(engine, MONDAY_MS)
    scheduled(engine, schedule="weekly", schedule_day=1, created_at_ms=MONDAY_MS + 2 * DAY_MS)
    run_at(engine, MONDAY_MS + 3 * DAY_MS)
    assert requested(engine) == []


def test_more_partners_than_a_page_are_all_asked_for(engine: Engine) -> None:
    partners = [a_partner(schedule="daily") for _ in range(PARTNERS_AT_ONCE + 5)]
    with engine.begin() as connection:
        keep(connection, *partners)
        for partner in partners:
            owe(connection, partner, 100)
    run_at(engine, MONDAY_MS)
    assert sorted(requested(engine)) == sorted((partner.id, 100) for partner in partners)


@pytest.mark.parametrize(
    "crash", ["schedule.between_partners:1", "schedule.between_partners:5", "request.before_commit:4"]
)
def test_a_run_killed_in_the_middle_goes_on_and_asks_for_everybody_once(
    engine: Engine, database_url: str, crash: str
) -> None:
    # given a run that is killed with some partners asked for
    partners = [scheduled(engine) for _ in range(PARTNERS)]
    killed = subprocess.run(
        [sys.executable, "-c", RUN, database_url, str(MONDAY_MS)],
        env={**os.environ, "CRASH_AT": crash},
        timeout=60,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert 0 < len(requested(engine)) < PARTNERS

    # when money comes in meanwhile, and a scheduler starts again
    with engine.begin() as connection:
        for partner in partners:
            owe(connection, partner, 3_000)
    run_at(engine, MONDAY_MS)

    # then every partner has one request of that day, and the run counts them all
    assert sorted(partner_id for partner_id, _ in requested(engine)) == sorted(p.id for p in partners)
    [run] = runs(engine, "daily")
    assert (run["status"], run["partners"], run["requested"]) == ("done", PARTNERS, PARTNERS)
    for partner in partners:
        with engine.begin() as connection:
            balances = partner_balances(connection, partner.id)
        assert balances["eur", LedgerKind.OWED] + balances["eur", LedgerKind.IN_TRANSIT] == 13_000


def test_a_run_left_open_yesterday_is_finished_before_that_of_today(
    engine: Engine, database_url: str
) -> None:
    partners = [scheduled(engine) for _ in range(3)]
    subprocess.run(
        [sys.executable, "-c", RUN, database_url, str(MONDAY_MS)],
        env={**os.environ, "CRASH_AT": "schedule.between_partners:1"},
        timeout=60,
        check=False,
    )

    run_at(engine, MONDAY_MS + DAY_MS)

    assert sorted(requested(engine)) == sorted((partner.id, 10_000) for partner in partners)
    assert [(run["status"], run["requested"]) for run in runs(engine, "daily")] == [("done", 3), ("done", 0)]


def test_schedulers_that_work_at_once_ask_for_everybody_once(engine: Engine) -> None:
    partners = [scheduled(engine) for _ in range(PARTNERS)]
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        run_at(engine, MONDAY_MS)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(requested(engine)) == sorted((partner.id, 10_000) for partner in partners)
    assert [run["requested"] for run in runs(engine, "daily")] == [PARTNERS]
