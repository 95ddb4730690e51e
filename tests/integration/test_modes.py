"""The mode of the service now, and the commands that show and change it."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from payouts import maintenance
from payouts.access import Step, bootstrap
from payouts.clock import now_ms
from payouts.emergency_state import HELD_BY_SETTING, Switched
from payouts.holding import place
from payouts.holds import EVERYTHING, HoldKind
from payouts.mode import NORMAL, Modes
from payouts.people import BOOTSTRAP
from payouts.recovering import begin
from payouts.storage.engine import build_engine
from payouts.storage.unit import in_transaction
from payouts.tokens import DEFAULT_DAYS
from tests.support.commands import run_here
from tests.support.requests import ANNA, BEN, make_id, migrated
from tests.support.servers import RedisServer

NOW_MS = 1_790_000_000_000


def modes(engine: Engine, switched: Switched | None = None, *, setting: bool = False) -> Modes:
    return Modes(engine, lambda: switched, setting)


def test_the_gravest_mode_is_named_first_with_who_and_why(shared_engine: Engine) -> None:
    engine = shared_engine
    assert modes(engine).all_now() == [NORMAL]

    def do(verb: Any, *words: Any) -> None:
        in_transaction(engine, lambda c: verb(c, *words, make_id, NOW_MS))

    do(place, HoldKind.KILL_SWITCH, EVERYTHING, ANNA, "odd sums")
    do(maintenance.announce, NOW_MS + 1, NOW_MS + 2, "Soon.", ANNA)
    assert [each.mode for each in modes(engine).all_now()] == ["stopped"]

    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM maintenance_windows")
    do(maintenance.start_at_once, NOW_MS + 9, "A new database.", BEN, "the plan")
    do(begin, NOW_MS - 1, ANNA, "restored")
    found = modes(engine, Switched(5, "root", "no database")).all_now()

    assert [(each.mode, each.since_ms, each.by, each.reason) for each in found] == [
        ("emergency", 5, "root", "no database"),
        ("recovery", NOW_MS, "anna", "restored"),
        ("maintenance", NOW_MS, "ben", "the plan"),
        ("stopped", NOW_MS, "anna", "odd sums"),
    ]
    assert modes(engine).now().mode == "recovery"


def test_a_setting_that_holds_a_mode_is_named(shared_engine: Engine) -> None:
    emergency, kept = modes(shared_engine, HELD_BY_SETTING, setting=True).all_now()
    assert (emergency.by, emergency.since_ms, emergency.by_setting) == (
        "setting ENABLE_MOCK_DATA",
        None,
        True,
    )
    assert (kept.by, kept.since_ms, kept.by_setting) == ("setting MAINTENANCE_MODE", None, True)


def test_emergency_mode_is_told_without_a_database_and_no_other_is() -> None:
    engine = build_engine("mysql://nobody@127.0.0.1:1/none", timeout_s=1, pool_size=1)
    assert modes(engine, HELD_BY_SETTING).now().mode == "emergency"
    with pytest.raises(Exception, match="refused"):
        modes(engine).now()
    engine.dispose()


class Office:
    """The command, as an admin."""

    def __init__(self, engine: Engine, **env: str) -> None:
        with engine.begin() as connection:
            token = bootstrap(Step(connection, make_id, now_ms(), BOOTSTRAP), "olga", DEFAULT_DAYS).secret
        url = engine.url.render_as_string(hide_password=False)
        self.env = {"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0", "PAYOUTS_TOKEN": token, **env}

    def ok(self, *words: str, **env: str) -> str:
        done = run_here("maintenance", *words, **{**self.env, **env})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str) -> str:
        done = run_here("maintenance", *words, **self.env)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        return done.stderr


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with migrated(f"sqlite:///{tmp_path / 'payouts.db'}") as engine:
        yield Office(engine)


REASON = ("--reason", "the plan")


def test_maintenance_from_its_announcement_to_its_end_by_command(office: Office) -> None:
    assert "no maintenance was ever announced" in office.ok("show")
    office.ok("announce", "--start", "24h", "--end", "25h", "--text", "A new database.")
    assert "announced already" in office.refused(
        "announce", "--start", "1h", "--end", "2h", "--text", "Other."
    )
    assert "A longer one." in office.ok("change", "--text", "A longer one.", "--end", "26h", *REASON)
    assert "only announced" in office.refused("end", *REASON)
    assert "nothing is sent any more" in office.ok("start", *REASON)
    (shown,) = [json.loads(line) for line in office.ok("show", "--json").splitlines()]
    assert (shown["state"], shown["text"], shown["started_by"]) == ("started", "A longer one.", "olga")
    assert "end it" in office.refused("call-off", *REASON)
    assert "payouts are sent again; 0 waited" in office.ok("end", *REASON)
    assert "ended" in office.ok("show")
    assert "no maintenance is announced" in office.refused("end", *REASON)


def test_maintenance_starts_at_once_where_it_must_and_can_be_called_off_before(office: Office) -> None:
    assert "--until and --text" in office.refused("start", *REASON)
    office.ok("announce", "--start", "2h", "--end", "3h", "--text", "Later.")
    assert "change this one first" in office.refused("start", "--until", "1h", "--text", "Now.", *REASON)
    assert "called off" in office.ok("call-off", *REASON)
    assert "nothing is sent" in office.ok("start", "--until", "1h", "--text", "Sign-in is down.", *REASON)


def test_the_command_says_that_the_setting_holds_maintenance(office: Office) -> None:
    office.ok("start", "--until", "1h", "--text", "Sign-in is down.", *REASON)
    assert "MAINTENANCE_MODE=true holds maintenance" in office.ok("end", *REASON, MAINTENANCE_MODE="true")
    assert "maintenance is on by MAINTENANCE_MODE=true" in office.ok("show", MAINTENANCE_MODE="true")


PAGE = Path(__file__).resolve().parents[2] / "docs" / "modes.md"
EXAMPLES = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for line in block.splitlines()
]


def test_the_commands_of_the_page_do_what_it_says(office: Office, redis_server: RedisServer) -> None:
    env = {**office.env, "REDIS_URL": redis_server.url}
    said = {}
    for program, *words in EXAMPLES:
        assert program == "payouts"
        done = run_here(*words, **env)
        assert done.returncode == 0, (words, done.stderr)
        said[" ".join(words[:2])] = done.stdout

    assert said["mode"] == "normal\n"
    assert "We move to a new database." in said["maintenance show"]
    assert said["maintenance end"] == "payouts are sent again; 0 waited\n"
    assert "on since" in said["emergency show"]
    assert said["emergency off"].startswith("emergency mode is off")
