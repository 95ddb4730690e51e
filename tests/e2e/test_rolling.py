"""A deployment and its rollback, under load: the schema first, then one process after the other, to the new
version, back to the version before, and to the new one again. No event is lost or applied twice."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from payouts.storage import revisions
from tests.support.lives import make_lives
from tests.support.older import check_out, commit_before_newest_migration
from tests.support.senders import Senders, check_applied_once, check_kept, wait_started
from tests.support.servers import RedisServer, SqlServer, wait_until
from tests.support.stack import Stack, check_promises

pytestmark = pytest.mark.long


class Rolling(Stack):
    """A stack whose processes run one version or the other. Its database begins at the older schema."""

    older: Path

    def __enter__(self) -> "Rolling":
        self.upgrade(PYTHONPATH=str(self.older))
        return self

    def upgrade(self, **env: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "console.main", "db", "upgrade"],
            env={**self.env, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def begin(self, name: str, *, older: bool) -> None:
        """Start `worker:3` and the like in one version, and wait until it works."""
        self.start(name, **({"PYTHONPATH": str(self.older)} if older else {}))
        if name.partition(":")[0] == "receiver":
            wait_until(f"{name} answers; it said: {self.said(name)}", self.is_serving)
        else:
            wait_started(self, name)

    def roll(self, turn: int, *, older: bool) -> None:
        """Every process is replaced by one of the other version, as a deployment does: workers and schedulers
        beside each other for a moment, the receiver after it drained."""
        for role in ("worker", "scheduler"):
            self.begin(f"{role}:{turn}", older=older)
            assert self.stop(f"{role}:{turn - 1}") == 0, self.said(f"{role}:{turn - 1}")[-2000:]
        assert self.stop(f"receiver:{turn - 1}") == 0, self.said(f"receiver:{turn - 1}")[-2000:]
        self.begin(f"receiver:{turn}", older=older)


@pytest.fixture
def rolling(tmp_path: Path, mariadb: SqlServer, redis_server: RedisServer) -> Iterator[Rolling]:
    commit = commit_before_newest_migration()
    if commit is None:
        pytest.skip("the history does not go back to the version before")
    made = Rolling(tmp_path, mariadb.new_database(), redis_server.url)
    made.older = check_out(commit, tmp_path / "older")
    with made:
        yield made


def test_rolling_forth_and_back_and_forth_under_load_loses_and_doubles_nothing(rolling: Rolling) -> None:
    assert revisions.current(rolling.engine) != revisions.newest(), "the version before has an older schema"
    for role in ("receiver", "worker", "scheduler"):
        rolling.begin(f"{role}:0", older=True)
    lives = make_lives(2_500, seed=801)
    senders = Senders(rolling, lives.bodies, 4, tries=200, pause_s=0.15).start()

    rolling.upgrade()
    assert revisions.current(rolling.engine) == revisions.newest()
    for turn, older in enumerate([False, True, False], start=1):
        rolling.roll(turn, older=older)
        assert senders.is_busy, "the load was over before the last version came"
    senders.pause_s = 0  # the rest at once

    senders.join(300)
    assert senders.left_out == []
    assert set(senders.statuses) <= {200, 0}, "0: nothing listened while the one receiver was replaced"
    rolling.wait_applied(90)
    check_kept(rolling, senders.acknowledged, lives.bodies)
    check_promises(rolling, lives.expected, lives.bodies)
    check_applied_once(rolling)
