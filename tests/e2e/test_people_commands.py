"""People, tokens and the audit log as operators meet them: through the command."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from console.data_dir import DataDir
from console.local_people import admit_operators
from payouts.storage.engine import build_engine
from tests.support.commands import run_here as run
from tests.support.databases import bring_up_to_date

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def service(tmp_path: Path) -> Run:
    """The command on a migrated database of its own, as whoever's `token` is given."""
    url = f"sqlite:///{tmp_path / 'payouts.db'}"
    assert run("db", "upgrade", DATABASE_URL=url).returncode == 0

    def as_whom(*words: str, token: str = "") -> "subprocess.CompletedProcess[str]":
        return run(*words, DATABASE_URL=url, **({"PAYOUTS_TOKEN": token} if token else {}))

    return as_whom


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as `payouts up` makes it at its first start."""
    made = DataDir(tmp_path / "data")
    made.path.mkdir()
    made.make()
    _start(made)
    return made.path


def _start(folder: DataDir) -> None:
    engine = build_engine(folder.environment()["DATABASE_URL"], timeout_s=10, pool_size=1)
    bring_up_to_date(engine)
    admit_operators(folder, engine)
    engine.dispose()


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a refused command says."""
    assert done.returncode == 1, done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_from_an_empty_database_to_people_who_may_do_their_part_and_no_more(service: Run) -> None:
    assert "payouts people add NAME --role admin" in said(
        service("token", "create", "x", "--program", "--scopes", "read")
    )
    assert "set PAYOUTS_TOKEN" in said(service("people", "add", "bert", "--role", "operator"))

    first = service("people", "add", "anna", "--role", "admin")
    anna = first.stdout.strip()
    assert "shown only now" in first.stderr
    assert anna not in first.stderr
    assert "there is an admin with a token already" in said(
        service("people", "add", "eve", "--role", "admin")
    )

    bert = json.loads(service("people", "add", "bert", "--role", "operator", "--json", token=anna).stdout)[
        "token"
    ]
    assert "it takes the scope admin" in said(service("people", "deactivate", "anna", token=bert))
    portal = service(
        "token", "create", "portal", "--program", "--scopes", "credit", token=anna
    ).stdout.strip()
    assert "program:portal may not do this" in said(service("people", "deactivate", "anna", token=portal))

    rows = [json.loads(line) for line in service("token", "list", "--json").stdout.splitlines()]
    assert [(row["name"], row["person"], row["scopes"]) for row in rows] == [
        ("portal", None, "credit"),
        ("first", "bert", "credit operate read request"),
        ("first", "anna", "admin approve credit operate read request"),
    ]
    assert service("token", "revoke", rows[0]["id"], "--reason", "leaked", token=anna).returncode == 0
    assert "was revoked on" in said(service("people", "deactivate", "anna", token=portal))
    assert "anna is the last admin" in said(service("people", "deactivate", "anna", token=anna))
    assert service("people", "deactivate", "bert", token=anna).returncode == 0
    assert "bert  operator  no" in service("people", "list").stdout

    actions = [
        (row["actor"], row["action"], row["reason"])
        for row in map(json.loads, service("audit", "list", "--actor", "anna", "--json").stdout.splitlines())
    ]
    assert actions == [
        ("anna", "person.deactivate", None),
        ("anna", "token.revoke", "leaked"),
        ("anna", "token.create", None),
        ("anna", "token.create", None),
        ("anna", "person.add", None),
    ]
    everything = "".join(service(*words).stdout for words in (("audit", "list", "--json"), ("token", "list")))
    assert not [token for token in (anna, bert, portal) if token in everything]


@pytest.mark.parametrize("token", ["pt_" + "x" * 43, "hunter2"])
def test_a_wrong_token_is_refused_without_being_repeated(service: Run, token: str) -> None:
    refusal = said(service("people", "add", "anna", "--role", "admin", token=token))
    assert "payouts token create" in refusal
    assert token not in refusal


def test_verify_fails_and_names_what_was_changed(service: Run, tmp_path: Path) -> None:
    assert "nothing is on record yet" in service("audit", "verify").stdout
    anna = service("people", "add", "anna", "--role", "admin").stdout.strip()
    service("people", "add", "bert", "--role", "viewer", token=anna)
    whole = service("audit", "verify")
    assert whole.returncode == 0
    assert "whole, 5 entries" in whole.stdout
    chain = whole.stdout.partition(":")[0]

    connection = sqlite3.connect(tmp_path / "payouts.db")
    connection.execute("UPDATE audit SET actor = 'eve' WHERE number = 4")
    connection.commit()
    connection.close()
    broken = service("audit", "verify", "--chain", chain)
    assert broken.returncode == 1
    assert f"{chain}: broken: entry 4 was changed" in broken.stdout
    assert "there is no audit chain acct_9/2026-01" in said(
        service("audit", "verify", "--chain", "acct_9/2026-01")
    )


def test_a_folder_has_two_admins_and_acts_as_the_first_unless_told(folder: Path) -> None:
    at = ("--data", str(folder))
    assert run("people", "add", "carla", "--role", "viewer", *at).returncode == 0
    assert run("people", "deactivate", "carla", "--as", "operator-2", *at).returncode == 0
    rows = [
        json.loads(line)
        for line in run("audit", "list", "--json", "--subject", "person:carla", *at).stdout.splitlines()
    ]
    assert [(row["actor"], row["action"]) for row in rows] == [
        ("operator-2", "person.deactivate"),
        ("operator-1", "person.add"),
    ]
    assert "it has operator-1 and operator-2" in said(
        run("people", "deactivate", "carla", "--as", "eve", *at)
    )


def test_a_folder_started_again_keeps_its_people_and_leaves_the_deactivated_alone(folder: Path) -> None:
    kept = DataDir(folder).people()
    _start(DataDir(folder))
    assert DataDir(folder).people() == kept
    assert run("people", "deactivate", "operator-2", "--data", str(folder)).returncode == 0
    _start(DataDir(folder))
    assert DataDir(folder).people() == {"operator-1": kept["operator-1"]}


def test_a_folder_whose_token_was_lost_gets_a_new_one_at_the_next_start(folder: Path) -> None:
    made = DataDir(folder)
    made.keep_people({"operator-2": made.people()["operator-2"], "operator-1": "pt_" + "x" * 43})
    _start(made)
    assert run("people", "add", "carla", "--role", "viewer", "--data", str(folder)).returncode == 0
    assert "operator-1" in run("audit", "list", "--subject", "person:carla", "--data", str(folder)).stdout
