"""A worker and a scheduler archive what is old, and an old event is found all the same."""

from pathlib import Path

from payouts.clock import now_ms
from tests.support.keeping import Keeper
from tests.support.servers import RedisServer, wait_until
from tests.support.stack import Stack


def test_old_payloads_leave_by_themselves_while_the_service_runs(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    url, folder = f"sqlite:///{tmp_path / 'payouts.db'}", tmp_path / "archive"
    keeper = Keeper(url, folder)
    keeper.now_ms = now_ms()
    old, young = keeper.add("old"), keeper.add("young", age_days=1)
    keeper.apply(old, young)
    with Stack(tmp_path, url, redis_server.url, ARCHIVE_URL=str(folder)) as stack:
        stack.start("worker", "scheduler")
        wait_until("the old payload is archived", lambda: keeper.is_archived(old), within_s=60)
    assert keeper.read(old) == keeper.bodies["old"]
    assert keeper.stored(young) == keeper.bodies["young"]
    assert [path.suffix for path in keeper.on_disk()] == [".gz"]
    keeper.engine.dispose()
