"""Requesting, deciding, stopping and limiting as operators meet them: through the command."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.storage.engine import build_engine
from tests.support.commands import run_here as run
from tests.support.requests import a_partner, keep, owe

make_id = IdMaker()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A migrated database with an admin, an approver and an operator, and their tokens: made once."""
    path = tmp_path_factory.mktemp("people") / "payouts.db"
    url = f"sqlite:///{path}"
    assert run("db", "upgrade", DATABASE_URL=url).returncode == 0
    tokens: dict[str, str] = {}
    for name, role in (("anna", "admin"), ("ben", "approver"), ("olga", "operator")):
        by = {"PAYOUTS_TOKEN": tokens["anna"]} if tokens else {}
        tokens[name] = run("people", "add", name, "--role", role, DATABASE_URL=url, **by).stdout.strip()
    return path, tokens


class Office:
    """The command on a database with one partner, as anna unless somebody else is named."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self.url = url
        self.tokens = tokens
        self.engine = build_engine(url, timeout_s=10, pool_size=1)
        self.partner = self.add_partner(bank_approved=None)

    def add_partner(self, **values: Any) -> Partner:
        partner = a_partner(reference=f"nord-{make_id()}", **values)
        with self.engine.begin() as connection:
            keep(connection, partner)
            owe(connection, partner, 100_000)
        return partner

    def command(self, *words: str, by: str = "anna") -> "subprocess.CompletedProcess[str]":
        return run(*words, DATABASE_URL=self.url, PAYOUTS_TOKEN=self.tokens[by])

    def ok(self, *words: str, by: str = "anna") -> str:
        done = self.command(*words, by=by)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refused(self, *words: str, by: str = "anna") -> str:
        """The one line that a refused command says."""
        done = self.command(*words, by=by)
        assert done.returncode == 1, done.stdout
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ok(*words, "--json").splitlines()]

    def request(self, *words: str, by: str = "anna") -> str:
        """Request a payout; its id."""
        done = self.ok("payout", "request", self.partner.reference, *words, "--json", by=by)
        return str(json.loads(done)["payout"])


@pytest.fixture
def office(tmp_path: Path, people: tuple[Path, dict[str, str]]) -> Iterator[Office]:
    path, tokens = people
    shutil.copy(path, tmp_path / "payouts.db")
    made = Office(f"sqlite:///{tmp_path / 'payouts.db'}", tokens)
    yield made
    made.engine.dispose()


def test_a_payout_is_requested_once_for_its_reference_and_called_off(office: Office) -> None:
    name = office.partner.reference
    said = office.ok("payout", "request", name, "120.50", "--reference", "march", by="olga")
    assert said.endswith(f"120.50 EUR to {name} is queued")
    payout = said.split(":")[0]
    assert office.request("120.50", "--reference", "march") == payout
    assert "'march' stands for" in office.refused("payout", "request", name, "120.51", "--reference", "march")

    [row] = office.rows("payout", "requests", "--partner", name)
    assert (row["payout"], row["partner"], row["requested_by"]) == (payout, name, "olga")

    assert "say why" in office.refused("payout", "cancel", payout, "--reason", " ")
    assert "it is owed again" in office.ok("payout", "cancel", payout, "--reason", "wrong month", by="olga")
    assert "is canceled already" in office.refused("payout", "cancel", payout, "--reason", "again")
    assert office.request("--all") != payout


def test_how_much_is_said_in_one_way_and_exactly(office: Office) -> None:
    name = office.partner.reference
    for words in ([], ["10", "--all"]):
        assert "an amount as 120.50, or --all" in office.refused("payout", "request", name, *words)
    assert "3 decimal places" in office.refused("payout", "request", name, "1.234")
    assert "is owed 1,000.00 EUR" in office.refused("payout", "request", name, "1000.01")
    assert "there is no partner nobody" in office.refused("payout", "request", "nobody", "--all")
    assert "they are named pay_" in office.refused("payout", "cancel", "po_1", "--reason", "x")
    assert "there is no requested payout pay_7" in office.refused(
        "payout", "cancel", "pay_7", "--reason", "x"
    )


def test_a_large_payout_takes_a_second_person(office: Office) -> None:
    assert office.ok("limit", "set", "approval", "500", "--currency", "eur").endswith("500.00 EUR")
    payout = office.request("500")
    assert [row["status"] for row in office.rows("payout", "requests")] == ["awaiting_approval"]

    assert "you asked for" in office.refused("payout", "approve", payout, "--reason", "fine")
    assert "takes the scope approve" in office.refused(
        *("payout", "approve", payout, "--reason", "fine"), by="olga"
    )
    office.ok("payout", "approve", payout, "--reason", "fine", by="ben")
    assert [row["status"] for row in office.rows("payout", "requests")] == ["queued"]
    assert "does not wait for approval" in office.refused(
        *("payout", "reject", payout, "--reason", "late"), by="ben"
    )


def test_stop_and_resume_are_on_record_and_done_once(office: Office) -> None:
    assert "is not held" in office.refused("resume", "--reason", "x")
    office.ok("stop", "--reason", "the bank called")
    assert "is held already, by anna: the bank called" in office.refused(
        "stop", "--reason", "me too", by="olga"
    )
    [held] = office.rows("hold", "list")
    assert (held["kind"], held["scope"], held["reason"]) == ("kill_switch", "all", "the bank called")

    assert "sent again" in office.ok("resume", "--reason", "all clear", by="olga")
    assert office.rows("hold", "list") == []
    [held] = office.rows("hold", "list", "--all")
    assert (held["placed_by"], held["released_by"], held["release_reason"]) == ("anna", "olga", "all clear")
    actions = [row["action"] for row in office.rows("audit", "list") if row["action"].startswith("hold")]
    assert sorted(actions) == ["hold.place", "hold.release"]


def test_a_payout_a_partner_or_a_currency_is_held_and_released(office: Office) -> None:
    payout, name = office.request("10"), office.partner.reference
    office.ok("payout", "hold", payout, "--reason", "invoice unclear")
    assert f"{payout} is held already" in office.refused("payout", "hold", payout, "--reason", "x")
    office.ok("payout", "release", payout, "--reason", "clear")
    assert "is not held" in office.refused("payout", "release", payout, "--reason", "x")

    office.ok("hold", "add", "--partner", name, "--reason", "moving banks")
    office.ok("hold", "add", "--currency", "EUR", "--reason", "no balance")
    assert "--partner or --currency" in office.refused("hold", "add", "--reason", "x")
    assert "'xxx' is no currency" in office.refused("hold", "add", "--currency", "xxx", "--reason", "x")
    listed = office.rows("hold", "list")
    assert [row["holds"] for row in listed] == ["currency eur", f"partner {name}"]
    held = {row["scope"]: row["id"] for row in listed}
    office.ok("hold", "release", held["currency"], "--reason", "filled up")
    assert "was released before, by anna" in office.refused(
        "hold", "release", held["currency"], "--reason", "x"
    )
    office.ok("payout", "cancel", payout, "--reason", "too late")
    assert "nothing left to hold back" in office.refused("payout", "hold", payout, "--reason", "x")


def test_limits_are_set_shown_and_removed(office: Office) -> None:
    office.ok("limit", "set", "velocity_amount", "10000", "--currency", "eur", "--window", "24h")
    office.ok("limit", "set", "velocity_count", "50", "--window", "60m")
    office.ok("limit", "set", "daily", "700", "--partner", office.partner.reference)
    office.ok("limit", "set", "daily", "800", "--partner", office.partner.reference)

    found = {row["kind"]: row for row in office.rows("limit", "list")}
    assert {kind: row["limit"] for kind, row in found.items()} == {
        "velocity_amount": "10,000.00 EUR",
        "velocity_count": "50 payouts",
        "daily": "800.00 EUR",
    }
    assert found["velocity_amount"]["window"] == "24 h"
    assert found["daily"]["partner"] == office.partner.reference

    assert "takes the scope admin" in office.refused("limit", "set", "daily", "1", by="olga")
    assert "of which currency" in office.refused("limit", "set", "minimum", "1")
    assert "whole minutes" in office.refused("limit", "set", "velocity_count", "5")
    assert "cannot be set for one" in office.refused(
        *("limit", "set", "velocity_count", "5", "--window", "5m", "--partner", office.partner.reference)
    )
    office.ok("limit", "remove", "velocity_count")
    assert "no limit velocity_count for all partners is set" in office.refused(
        "limit", "remove", "velocity_count"
    )


def test_a_bank_account_is_approved_by_an_approver(office: Office) -> None:
    words = ("bank", "approve", office.partner.reference, "--reason", "called back")
    assert "takes the scope approve" in office.refused(*words, by="olga")
    assert "by now, not ba_other" in office.refused(*words, "--account", "ba_other", by="ben")
    assert "Testbank …6789" in office.ok(*words, by="ben")
    assert "approved already" in office.refused(*words, by="ben")


def test_a_schedule_is_run_by_hand_once_a_day(office: Office) -> None:
    office.add_partner(schedule="daily")
    for _ in range(2):
        office.ok("schedule", "run", by="olga")
    assert [row["requested_by"] for row in office.rows("payout", "requests")] == ["system:schedule"]
    runs = {row["schedule"]: row for row in office.rows("schedule", "list")}
    assert (runs["daily"]["requested"], runs["daily"]["amounts"]) == (1, {"eur": 100_000})
    assert {row["status"] for row in runs.values()} == {"done"}
    for list_ in ("schedule", "hold", "limit"):
        office.ok(list_, "list")
    assert "1,000.00 EUR" in office.ok("payout", "requests")
