"""What keeps the processes of `payouts up` running."""

import os
import sys
from pathlib import Path

import pytest

from console.data_dir import DataDir
from console.supervisor import Child, Supervisor
from payouts.errors import PayoutsError
from tests.support.servers import wait_until


def test_a_screen_that_fails_does_not_stop_what_a_process_prints(tmp_path: Path) -> None:
    done = tmp_path / "done"
    seen: list[str] = []

    def screen(_name: str, line: str) -> None:
        seen.append(line)
        raise SystemExit(1)  # as rich does when its reader is gone

    code = f"import pathlib\nfor _ in range(50_000): print('x' * 9)\npathlib.Path({str(done)!r}).touch()"
    supervisor = Supervisor(screen)
    supervisor.start(Child("chatty", [sys.executable, "-c", code], dict(os.environ)))
    try:
        wait_until("everything it prints is read", done.exists, 20)
    finally:
        supervisor.stop()
    assert len(seen) > 1


def test_children_of_an_earlier_run_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.data_dir.CHILDREN_END_WITHIN_S", 0.3)
    folder = DataDir(tmp_path)
    held = folder.lock_for_children()
    supervisor = Supervisor(lambda _name, _line: None, [held.fileno()])
    supervisor.start(
        Child("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ))
    )
    held.close()  # as when the parent is killed: the child holds it alone
    try:
        with pytest.raises(PayoutsError, match="earlier `payouts up`"):
            folder.lock_for_children()
    finally:
        supervisor.stop()
    folder.lock_for_children().close()


def test_a_folder_may_be_named_like_a_part_of_an_address(tmp_path: Path) -> None:
    from sqlalchemy import make_url

    folder = DataDir(tmp_path / "a?b=c%20d#e")
    folder.lock().close()
    folder.make()
    url = make_url(folder.environment()["DATABASE_URL"])
    assert url.database == str(folder.path.resolve() / "payouts.db")
