"""`payouts archive …`, `payouts payload …` and `payouts event show`, as operators use them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from console.main import app
from payouts.clock import now_ms
from payouts.errors import NotFoundError, RefusedError, SettingsError
from payouts.sealing import check_key, new_key
from tests.support.keeping import Keeper
from tests.support.lives import event_body

KEY, OLD_KEY = new_key(), new_key()
ACCOUNT = {"id": "acct_1Made", "object": "account", "email": "jane@example.com", "payouts_enabled": True}


class Desk:
    """The command in this process, as whoever is named."""

    def __init__(self, url: str, folder: Path) -> None:
        self.keeper = Keeper(url, folder)
        self.keeper.now_ms = now_ms()
        self.environment = {
            "DATABASE_URL": url,
            "REDIS_URL": "redis://127.0.0.1:9/0",
            "COLUMNS": "300",
            "ARCHIVE_URL": str(folder),
            "PAYLOAD_KEYS": "",
        }
        self.tokens: dict[str, str] = {}
        for name, role in (("anna", "admin"), ("olga", "operator")):
            self.tokens[name] = self.ok("people", "add", name, "--role", role).strip()

    def run(self, *words: str, by: str = "anna") -> Result:
        token = {"PAYOUTS_TOKEN": self.tokens[by]} if by in self.tokens else {"PAYOUTS_TOKEN": ""}
        return CliRunner().invoke(app, words, env={**self.environment, **token}, catch_exceptions=False)

    def ok(self, *words: str, by: str = "anna") -> str:
        done = self.run(*words, by=by)
        assert done.exit_code == 0, done.output
        return done.stdout

    def shown(self, event_id: str, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("event", "show", event_id, "--json", *words))
        return found

    def actions(self) -> list[tuple[str, str, str]]:
        rows = map(json.loads, self.ok("audit", "list", "--json").splitlines())
        return [(row["action"], row["actor"], row["subject"]) for row in rows]


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path / "archive")
    yield made
    made.keeper.engine.dispose()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(f"sqlite:///{tmp_path / 'payouts.db'}", tmp_path / "archive")
    yield made
    made.keeper.engine.dispose()


def test_the_payload_of_an_archived_event_is_shown_by_the_same_command(desk: Desk) -> None:
    desk.keeper.apply(desk.keeper.add("old"))
    assert "1 payloads archived in 1 files" in desk.ok("archive", "run", by="olga")
    assert "0 payloads archived in 0 files" in desk.ok("archive", "run", by="olga")
    assert "po_old" in desk.ok("event", "show", "evt_old", "--payload", by="olga")
    found = desk.shown("evt_old")
    assert found["payload_kept"] == "archive"
    assert json.loads(found["payload"]) == json.loads(desk.keeper.bodies["old"])
    (file,) = map(json.loads, desk.ok("archive", "list", "--json").splitlines())
    assert (file["events"], file["sealed"]) == (1, False)
    assert file["name"] in desk.ok("archive", "list")
    assert ("archive.run", "olga", "archive") in desk.actions()


def test_verify_names_what_is_gone_and_the_event_is_shown_without_its_payload(small: Desk) -> None:
    small.keeper.apply(small.keeper.add("old"))
    small.ok("archive", "run")
    assert "1 files are as they were written" in small.ok("archive", "verify")
    path = small.keeper.on_disk()[0]
    path.unlink()
    gone = small.run("archive", "verify")
    assert gone.exit_code == 1
    assert path.name in gone.stdout
    assert "1 payloads cannot be had" in gone.stdout
    file_id = str(small.keeper.files()[0].id)
    assert small.run("archive", "verify", "--file", file_id).exit_code == 1
    with pytest.raises(NotFoundError, match="no archive file 7"):
        small.run("archive", "verify", "--file", "7")
    shown = small.ok("event", "show", "evt_old", "--payload")
    assert "applied" in shown
    assert re.search(rf"the payload is not at hand: .*{path.name}", shown)
    assert small.shown("evt_old")["payload"] is None


def test_what_stripe_says_of_people_is_shown_to_admins_alone_and_leaves_a_trace(desk: Desk) -> None:
    desk.keeper.add_body("a", event_body("evt_a", "updated", ACCOUNT, account="acct_1Made"))
    for words in (("--payload",), ("--json",), ("--payload", "--json")):
        shown = desk.ok("event", "show", "evt_a", *words, by="olga")
        assert "jane@" not in shown
        assert "payouts_enabled" in shown
    with pytest.raises(RefusedError, match="scope admin"):
        desk.run("event", "show", "evt_a", "--unredacted", by="olga")
    with pytest.raises(RefusedError, match="PAYOUTS_TOKEN"):
        desk.run("event", "show", "evt_a", "--unredacted", by="nobody")
    assert not [action for action, _, _ in desk.actions() if action == "event.unredacted"]
    assert "jane@example.com" in desk.ok("event", "show", "evt_a", "--unredacted")
    assert "jane@example.com" in desk.ok("event", "show", "evt_a", "--unredacted", "--json")
    assert desk.actions()[:2] == [("event.unredacted", "anna", "event:evt_a")] * 2


def test_keys_are_rotated_in_the_inbox_and_in_the_archive_and_the_old_one_can_go(small: Desk) -> None:
    small.environment["PAYLOAD_KEYS"] = OLD_KEY
    small.keeper.sealer = type(small.keeper.sealer)([OLD_KEY])
    small.keeper.apply(small.keeper.add("old"))
    small.keeper.add("young", age_days=1)
    small.ok("archive", "run")

    small.environment["PAYLOAD_KEYS"] = f"{KEY},{OLD_KEY}"
    said = small.ok("payload", "rotate")
    assert "1 sealed with the first key" in said
    assert "1 lie in the archive" in said
    assert "1 files sealed with the first key" in small.ok("archive", "rotate")

    small.environment["PAYLOAD_KEYS"] = KEY
    for name in ("old", "young"):
        assert json.loads(small.shown(f"evt_{name}")["payload"]) == json.loads(small.keeper.bodies[name])
    assert "0 sealed" in small.ok("payload", "rotate")
    assert "1 files are as they were written and opened" in small.ok("archive", "verify")

    small.environment["PAYLOAD_KEYS"] = OLD_KEY
    assert "none of the 1 keys in PAYLOAD_KEYS" in small.ok("event", "show", "evt_young", "--payload")
    lost = small.run("payload", "rotate")
    assert lost.exit_code == 1
    assert "1 are sealed with a key that PAYLOAD_KEYS does not have" in lost.stdout
    assert small.run("archive", "verify").exit_code == 1
    assert small.run("archive", "rotate").exit_code == 1


def test_rotating_takes_an_admin_and_a_key(small: Desk) -> None:
    for group in ("payload", "archive"):
        with pytest.raises(SettingsError, match="payouts payload new-key"):
            small.run(group, "rotate")
    small.environment["PAYLOAD_KEYS"] = small.ok("payload", "new-key").strip()
    check_key(small.environment["PAYLOAD_KEYS"])
    for group in ("payload", "archive"):
        with pytest.raises(RefusedError, match="scope admin"):
            small.run(group, "rotate", by="olga")
        small.ok(group, "rotate")


def test_without_a_place_nothing_is_archived_and_the_setting_is_named(small: Desk) -> None:
    small.environment["ARCHIVE_URL"] = ""
    for words in (("run",), ("verify",)):
        with pytest.raises(SettingsError, match="ARCHIVE_URL is not set"):
            small.run("archive", *words)
