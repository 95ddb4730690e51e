"""The embedded default as its users meet it: start, deliver, look, stop, start again where it was."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import COMMAND, run
from tests.support.lives import Lives, make_lives
from tests.support.servers import free_port, wait_until


@contextmanager
def up(folder: Path, port: int, path: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`payouts up`, until the block ends; then Ctrl-C."""
    screen = folder.parent / "screen.txt"
    with screen.open("ab") as out:
        process = subprocess.Popen(
            [*COMMAND, "up", "--data", str(folder), "--port", str(port)],
            stdout=out,
            stderr=out,
            env={"PATH": path},
        )
    try:
        wait_until(f"it runs: {screen.read_text()}", (folder / "run.json").exists, 40)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(40)


def listed(folder: Path) -> dict[str, dict[str, object]]:
    done = run("payout", "list", "--json", "--data", str(folder))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    names = ("status", "amount_minor", "currency", "account")
    return {row["stripe_id"]: {name: row[name] for name in names} for row in rows}


def wanted(*lives: Lives) -> dict[str, dict[str, object]]:
    return {name: state for some in lives for name, state in some.expected.items() if state is not None}


def write(path: Path, lives: Lives) -> str:
    path.write_bytes(b"\n".join(lives.bodies) + b"\n")
    return str(path)


@pytest.mark.parametrize(
    "path", [os.environ["PATH"], "/nowhere"], ids=["redis on PATH", "Valkey from the wheel"]
)
def test_it_starts_delivers_stops_and_goes_on_where_it_was(tmp_path: Path, path: str) -> None:
    folder, port = tmp_path / "data", free_port()
    first, second = make_lives(40, seed=1), make_lives(20, seed=2)

    with up(folder, port, path) as process:
        done = run(
            "deliver",
            write(tmp_path / "first", first),
            "--data",
            str(folder),
            "--shuffle",
            "5",
            "--times",
            "2",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until("all is applied", lambda: listed(folder) == wanted(first), 30, every_s=0.3)
    assert process.returncode == 0

    with up(folder, port, path) as process:
        done = run("deliver", write(tmp_path / "second", second), "--data", str(folder))
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until("all is applied", lambda: listed(folder) == wanted(first, second), 30, every_s=0.3)
    assert process.returncode == 0

    screen = (tmp_path / "screen.txt").read_text()
    kept = json.loads((folder / "settings.json").read_text())
    assert f"http://127.0.0.1:{port}/api/webhooks/stripe" in screen
    assert "← evt_" in screen
    assert "✓ evt_" in screen
    assert kept["webhook_secret"] not in screen
    assert kept["redis_password"] not in screen
    assert (folder / "settings.json").stat().st_mode & 0o077 == 0


def test_killed_outright_it_leaves_nothing_behind_and_starts_again(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    lives = make_lives(40, seed=3)
    with up(folder, port, os.environ["PATH"]) as process:
        assert run("deliver", write(tmp_path / "lives", lives), "--data", str(folder)).returncode == 0
        process.kill()
        process.wait()
    (folder / "run.json").unlink()
    mark = str(folder).encode()

    def children() -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in entry.read_bytes():
                    found.append(entry.parent.name)
            except OSError:
                continue
        return found

    wait_until("its processes end with it", lambda: not children(), 40, every_s=0.2)
    with up(folder, port, os.environ["PATH"]):
        wait_until("all is applied", lambda: listed(folder) == wanted(lives), 40, every_s=0.3)


def test_a_second_one_on_the_same_folder_and_a_taken_port_are_refused_in_a_line(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    with up(folder, port, os.environ["PATH"]):
        same = run("up", "--data", str(folder), "--port", "0")
        taken = run("up", "--data", str(tmp_path / "other"), "--port", str(port))
    for done, word in ((same, "another `payouts up` runs"), (taken, f"port {port} is taken")):
        assert done.returncode == 1
        assert word in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (["payout", "list"], {}, "set DATABASE_URL"),
        (["payout", "list"], {"DATABASE_URL": "nonsense"}, "does not read as an address"),
        (["payout", "list"], {"DATABASE_URL": "mysql://u:hunter2@127.0.0.1:9/x"}, "Can't connect"),
        (["payout", "list"], {"DATABASE_URL": "sqlite:///empty.db"}, "run `payouts db upgrade`"),
        (["payout", "list", "--since", "soon"], {"DATABASE_URL": "sqlite:///empty.db"}, "'soon' is no time"),
        (["event", "show", "evt_1"], {"DATABASE_URL": "sqlite:///empty.db"}, "run `payouts db upgrade`"),
        (["deliver", "missing.jsonl", "--to", "http://127.0.0.1:9", "--secret", "x"], {}, "No such file"),
        (["worker"], {"DATABASE_URL": "sqlite:///empty.db"}, "REDIS_URL is not set"),
        (
            ["receiver"],
            {"DATABASE_URL": "sqlite:///x.db", "REDIS_URL": "redis://127.0.0.1:9"},
            "STRIPE_WEBHOOK_SECRET",
        ),
        (
            ["worker"],
            {"DATABASE_URL": "sqlite:///empty.db", "REDIS_URL": "redis://127.0.0.1:9"},
            "payouts db upgrade",
        ),
        (["nonsense"], {}, "No such command"),
        (["payout", "list", "--data", "nowhere"], {}, "start `payouts up --data nowhere` first"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], env: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*words, **env)
    assert done.returncode != 0
    assert said in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_lists_page_by_key_and_filter(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    lives = make_lives(60, seed=4)
    with up(folder, free_port(), os.environ["PATH"]):
        assert run("deliver", write(tmp_path / "lives", lives), "--data", str(folder)).returncode == 0
        wait_until("all is applied", lambda: listed(folder) == wanted(lives), 30, every_s=0.3)
    at = ("--data", str(folder))

    page, after = [], []
    while True:
        done = run("payout", "list", "--json", "--limit", "25", *at, *after)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        page += [row["stripe_id"] for row in rows]
        if len(rows) < 25:
            break
        after = ["--after", rows[-1]["id"]]
    assert sorted(page) == sorted(wanted(lives))
    failed = {name for name, state in wanted(lives).items() if state["status"] == "failed"}
    assert set(page) >= failed
    rows = run("payout", "list", "--json", "--status", "failed", *at).stdout.splitlines()
    assert {json.loads(row)["stripe_id"] for row in rows} == failed
    some = next(iter(failed))
    events = [
        json.loads(row) for row in run("event", "list", "--json", "--object", some, *at).stdout.splitlines()
    ]
    assert {event["object_id"] for event in events} == {some}
    assert sum(event["deliveries"] for event in events) == sum(some.encode() in body for body in lives.bodies)
    story = json.loads(run("payout", "show", some, "--json", *at).stdout)
    told = [(entry["kind"], entry["details"]) for entry in story["timeline"]]
    assert [move["to_status"] for kind, move in told if kind == "payout_moved"][-1] == "failed"
    assert "payout.failed" in {row["name"] for kind, row in told if kind == "notice"}
    table = run("payout", "show", some, *at).stdout
    assert some in table
    assert "EUR" in table or "USD" in table or "JPY" in table
    one = json.loads(run("event", "show", events[0]["event_id"], "--json", *at).stdout)
    assert json.loads(one["payload"])["id"] == events[0]["event_id"]
    assert run("event", "list", "--json", "--until", "1h", *at).stdout == ""
    assert "there are more: --after" in run("event", "list", "--limit", "3", *at).stdout


def test_a_file_with_a_bad_line_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "evt_1"}\n\nnot json\n')
    done = run("deliver", str(file), "--to", "http://127.0.0.1:9/", "--secret", "whsec_x")
    assert done.returncode == 1
    assert "line 3" in done.stderr
    assert "nothing was sent" in done.stderr


def test_deliveries_that_are_not_acknowledged_fail_the_command(tmp_path: Path) -> None:
    file = write(tmp_path / "lives", make_lives(3, seed=5))
    done = run("deliver", file, "--to", f"http://127.0.0.1:{free_port()}/", "--secret", "whsec_x")
    assert done.returncode == 1
    assert "ConnectError" in done.stdout
    assert "were not acknowledged" in done.stderr
