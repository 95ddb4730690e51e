"""`payouts notice …` as operators meet it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.data_dir import DataDir
from console.local_people import admit_operators
from payouts.notices import NoticeError
from tests.support.commands import run_here as run
from tests.support.outbox import Office
from tests.support.requests import migrated


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = DataDir(tmp_path / "data")
    made.path.mkdir()
    made.make()
    return made.path


@pytest.fixture
def office(folder: Path) -> Iterator[Office]:
    """The outbox of a `payouts up` folder."""
    kept = DataDir(folder)
    with migrated(kept.environment()["DATABASE_URL"]) as engine:
        admit_operators(kept, engine)
        yield Office(engine)


def test_a_dead_notice_is_found_looked_at_and_sent_again(office: Office, folder: Path) -> None:
    fine, dead = office.write(1, 2)
    office.a.failing[dead] = NoticeError("no such address", transient=False)
    office.teller.tell()
    data = ("--data", str(folder))

    rows = [json.loads(line) for line in run("notice", "list", "--json", *data).stdout.splitlines()]
    assert [(row["id"], row["status"]) for row in rows] == [(str(dead), "dead"), (str(fine), "delivered")]
    listed = run("notice", "list", "--status", "dead", *data).stdout
    assert str(dead) in listed
    assert "a: dead, b: delivered" in listed
    assert "no such address" in listed
    assert str(fine) not in listed

    shown = json.loads(run("notice", "show", str(dead), "--json", *data).stdout)
    assert shown["body"] == {"a": 1}
    assert [(d["channel"], d["status"], d["attempts"]) for d in shown["deliveries"]] == [
        ("a", "dead", 1),
        ("b", "delivered", 1),
    ]
    assert "no such address" in run("notice", "show", str(dead), *data).stdout

    done = run("notice", "retry", str(dead), "--reason", "the address was corrected", *data)
    assert done.stdout == "1 delivery is due again\n", done.stderr
    again = run("notice", "retry", str(dead), "--reason", "the address was corrected", *data)
    assert again.returncode == 1
    assert "only what is dead is sent again" in again.stderr
    everything = run("notice", "retry", "--all", "--reason", "the address was corrected", *data)
    assert everything.stdout == "nothing is dead\n", everything.stderr


def test_a_test_is_told_and_on_record(office: Office, folder: Path) -> None:
    data = ("--data", str(folder))
    for words, name in (((), "alert.test"), (("--critical",), "alert.test_critical")):
        done = run("notice", "test", "--reason", "a new address", *words, *data)
        assert done.stdout.startswith(f"{name} is on its way"), done.stderr
        (row,) = [
            json.loads(line)
            for line in run("notice", "list", "--name", name, "--json", *data).stdout.splitlines()
        ]
        shown = json.loads(run("notice", "show", row["id"], "--json", *data).stdout)
        assert "nothing is wrong: a new address" in shown["body"]["text"]
    audit = run("audit", "list", "--action", "notice.test", "--json", *data).stdout
    assert [json.loads(line)["subject"] for line in audit.splitlines()] == [
        "alert.test_critical",
        "alert.test",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "12"), "there is no notice 12"),
        (("retry", "12", "--reason", "x"), "there is no notice 12"),
        (("retry", "--reason", "x"), "either a notice's ID or --all"),
        (("retry", "12", "--all", "--reason", "x"), "either a notice's ID or --all"),
        (("retry", "--all", "--reason", " "), "say why"),
        (
            ("retry", "--all", "--channel", "nope", "--reason", "x"),
            "there is no channel nope: use one of log, folder, email, slack, pagerduty, portal",
        ),
        (("test", "--reason", " "), "say why"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    office: Office, folder: Path, words: tuple[str, ...], said: str
) -> None:
    done = run("notice", *words, "--data", str(folder))
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
