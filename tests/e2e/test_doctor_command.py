"""The doctor as operators and their scripts meet it: on a folder that runs, and on one that does not."""

import json
import os
import subprocess
from pathlib import Path

from tests.e2e.test_up import run, up
from tests.support.servers import free_port, wait_until


def levels(done: "subprocess.CompletedProcess[str]") -> dict[str, set[str]]:
    """The checks by level."""
    found: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        found.setdefault(row["level"], set()).add(row["check"])
        assert row["remedy"] or row["level"] == "ok"
    return found


def test_a_folder_that_runs_is_well_and_one_that_stopped_cannot_be_asked(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    def doctor(*flags: str) -> "subprocess.CompletedProcess[str]":
        return run("doctor", *flags, "--data", str(folder))

    said: list[subprocess.CompletedProcess[str]] = []

    def all_there() -> bool:
        said.append(doctor("--json"))
        return levels(said[-1])["ok"] >= {"processes.worker", "processes.scheduler"}

    with up(folder, free_port(), os.environ["PATH"]):
        wait_until("the processes say that they are there", all_there, 60)
        found = said[-1]
        assert found.returncode == 0, found.stdout
        # No event has come yet, and a first walk may be under way: all that there is to say of a new folder.
        assert levels(found).keys() == {"ok", "warning"}
        assert levels(found)["warning"] - {"watermark.caught_up"} == {"secrets.use", "watermark.received"}
        kept = (folder / "settings.json").read_text()

    stopped = doctor()
    assert stopped.returncode == 2
    assert "unknown" in stopped.stdout
    assert "→ check REDIS_URL" in stopped.stdout
    secrets = [value for value in _values(json.loads(kept)) if value.startswith(("whsec_", "sk_"))]
    assert len(secrets) == 4
    assert [each for each in secrets if each in stopped.stdout + found.stdout] == []


def test_a_service_without_workers_and_tables_is_bad(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'payouts.db'}"
    found = run("doctor", "--json", DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1/0")
    assert found.returncode == 1
    assert levels(found)["bad"] == {"migrations", "secrets"}


def _values(kept: object) -> list[str]:
    if isinstance(kept, dict):
        return [text for value in kept.values() for text in _values(value)]
    return [kept] if isinstance(kept, str) else []
