"""Old payloads leave the database and lose nothing by it, whoever is stopped where."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payouts.archive_check import YOUNG_MS, ArchiveCheck
from payouts.archiving import DAY_MS, Step
from payouts.errors import PayloadUnavailableError, SettingsError
from payouts.sealing import Sealer, new_key
from payouts.shelf import ObjectShelf, ShelfError, open_shelf
from payouts.storage.archive_rows import ARCHIVED_DUE_MS
from payouts.storage.event_queries import event, events
from payouts.storage.inbox import overdue
from payouts.storage.queries import Filters
from tests.support.keeping import Keeper
from tests.support.lives import event_body, payout_object

KEY, OLD_KEY = new_key(), new_key()


@pytest.fixture
def keeper(database_url: str, tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(database_url, tmp_path / "archive")
    yield made
    made.engine.dispose()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Keeper]:
    """On SQLite alone, for what no other database does differently."""
    made = Keeper(f"sqlite:///{tmp_path / 'payouts.db'}", tmp_path / "archive")
    yield made
    made.engine.dispose()


def check(keeper: Keeper) -> ArchiveCheck:
    return ArchiveCheck(keeper.engine, keeper.shelf, keeper.sealer, lambda: keeper.now_ms)


def faults(keeper: Keeper) -> list[str]:
    looking = check(keeper)
    return [fault for file in looking.files() if (fault := looking.fault(file))]


# What leaves, and what stays


def test_old_events_that_are_finished_leave_and_read_as_before(keeper: Keeper) -> None:
    ids = [keeper.add(f"{n}", description=f"caf\u00e9 {n} 'quoted' \\ \u0000") for n in range(30)]
    keeper.apply(*ids)
    young = keeper.add("young", age_days=89)
    keeper.apply(young)
    thin = keeper.add_body(
        "bytes", event_body("evt_bytes", "paid", payout_object("po_b", "paid")), payload=b"\xff\x00'\\"
    )
    keeper.set_status(thin, "ignored")

    assert keeper.archive(step_events=20) == 2

    assert all(keeper.is_archived(inbox_id) for inbox_id in [*ids, thin])
    assert [keeper.read(inbox_id) for inbox_id in ids] == [keeper.bodies[f"{n}"] for n in range(30)]
    assert keeper.read(thin) == b"\xff\x00'\\"
    assert keeper.stored(young) == keeper.bodies["young"]
    assert sum(file.events for file in keeper.files()) == 31
    assert len(keeper.on_disk()) == 2
    assert faults(keeper) == []
    assert keeper.archive() == 0


@pytest.mark.parametrize("status", ["received", "retrying", "deferred", "dead", "dismissed"])
def test_what_is_open_or_dead_or_decided_on_by_a_person_never_leaves(small: Keeper, status: str) -> None:
    kept = small.add("kept", age_days=4_000)
    small.set_status(kept, status)
    assert small.archive() == 0
    assert small.stored(kept) == small.bodies["kept"]


def test_a_dead_event_that_is_settled_late_leaves_too_after_younger_ones(small: Keeper) -> None:
    late, other = small.add("late", age_days=300), small.add("other", age_days=100)
    small.set_status(late, "dead")
    small.apply(other)
    small.archive()
    small.set_status(late, "applied")
    assert small.archive() == 1
    assert small.read(late) == small.bodies["late"]


def test_lists_filters_and_duplicates_go_on_as_before(keeper: Keeper) -> None:
    inbox_id = keeper.add("a")
    keeper.apply(inbox_id)
    with keeper.engine.connect() as connection:
        before = events(connection, Filters({"object_id": "po_a"}), 10)
    keeper.archive()
    with keeper.engine.connect() as connection:
        after = events(connection, Filters({"object_id": "po_a"}), 10)
        assert [{**row, "due_at_ms": 0} for row in after] == [{**row, "due_at_ms": 0} for row in before]
        assert overdue(connection, keeper.now_ms, 10) == []
    keeper.bodies.pop("a")
    again = keeper.add("a", age_days=0)
    with keeper.engine.connect() as connection:
        found = event(connection, "evt_a")
    assert found is not None
    assert (found["id"], found["deliveries"]) == (inbox_id, 2)
    assert again != inbox_id


def test_a_step_takes_no_more_bytes_than_it_may(small: Keeper) -> None:
    ids = [small.add(f"{n}", description="x" * 10_000) for n in range(12)]
    small.apply(*ids)
    steps: list[Step] = []
    archiver = small.archiver(step_bytes=35_000)
    while (step := archiver.step()).taken:
        steps.append(step)
    assert [step.taken for step in steps] == [3, 3, 3, 3]
    assert small.archiver(step_bytes=1).step() == Step(0)


def test_a_payload_larger_than_a_step_goes_alone(small: Keeper) -> None:
    ids = [small.add(f"{n}", description="x" * 10_000) for n in range(2)]
    small.apply(*ids)
    assert small.archive(step_bytes=1) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payloads=st.lists(st.binary(max_size=200), min_size=1, max_size=8), sealed=st.booleans())
def test_any_bytes_come_back_from_the_archive(small: Keeper, payloads: list[bytes], sealed: bool) -> None:
    small.sealer = Sealer([KEY] if sealed else [])
    body = {
        name: event_body(f"evt_{name}", "paid", payout_object("po_1", "paid")) for name in map(str, range(8))
    }
    with small.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM inbox"))
    kept = [small.add_body(str(n), body[str(n)], payload=payload) for n, payload in enumerate(payloads)]
    for inbox_id in kept:
        small.set_status(inbox_id, "ignored")
    small.archive()
    assert [small.read(inbox_id) for inbox_id in kept] == payloads


# Replay


def test_an_archived_event_is_applied_again_from_the_archive(keeper: Keeper) -> None:
    inbox_id = keeper.add("a")
    keeper.apply(inbox_id)
    keeper.archive()
    keeper.set_status(inbox_id, "received", due_at_ms=keeper.now_ms)
    assert [str(outcome.status) for outcome in keeper.apply(inbox_id).outcomes] == ["ignored"]
    assert keeper.is_archived(inbox_id)
    assert keeper.read(inbox_id) == keeper.bodies["a"]

    keeper.now_ms += 100 * DAY_MS
    assert keeper.archive() == 0, "it lies in its file still: no second one is made"
    assert keeper.read(inbox_id) == keeper.bodies["a"]
    with keeper.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT due_at_ms FROM inbox")) == ARCHIVED_DUE_MS


def test_many_are_brought_back_with_one_reading_of_each_block(small: Keeper) -> None:
    ids = [small.add(f"{n}") for n in range(40)]
    small.apply(*ids)
    small.archive(step_events=20)
    here = small.add("here", age_days=1)
    reads: list[str] = []

    class Counted:
        where = "counted"

        def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
            reads.append(name)
            return small.shelf.get(name, offset, length)

    payloads = small.payloads
    object.__setattr__(payloads, "shelf", Counted())
    items = small.items(*ids, here)
    with small.engine.connect() as connection:
        fetched = payloads.fetch(connection, items)
        found = {item.id: payloads.open(connection, item.id, item.payload) for item in fetched}
    assert found == {**{ids[n]: small.bodies[f"{n}"] for n in range(40)}, here: small.bodies["here"]}
    assert len(reads) == 2


def test_an_event_whose_file_is_gone_waits_and_its_neighbours_go_on(small: Keeper) -> None:
    lost, there = small.add("lost"), small.add("there", age_days=99)
    small.apply(lost, there)
    small.archive(step_events=1)
    name = next(file.name for file in small.files() if file.first_id == lost)
    (small.folder / name).rename(small.folder / "away")
    for inbox_id in (lost, there):
        small.set_status(inbox_id, "received", due_at_ms=small.now_ms)
    small.apply(lost, there)
    assert [small.status(lost), small.status(there)] == ["deferred", "ignored"]
    with small.engine.connect() as connection:
        waiting = connection.execute(sa.text(f"SELECT reason, attempts FROM inbox WHERE id = {lost}")).one()
    assert name in waiting.reason
    assert waiting.attempts == 0
    (small.folder / "away").rename(small.folder / name)
    small.now_ms += 3_600_000
    small.apply(lost)
    assert small.status(lost) == "ignored"


# Whoever is stopped, or is not alone

ARCHIVE = """
import sys
from pathlib import Path
from tests.support.keeping import Keeper
keeper = Keeper(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
keeper.archive()
"""


@pytest.mark.parametrize(
    ("point", "left_over", "archived"),
    [
        ("archive.after_write", 1, False),
        ("archive.before_commit", 1, False),
        ("archive.after_commit", 0, True),
    ],
)
def test_killed_at_any_point_no_payload_is_lost(
    keeper: Keeper, point: str, left_over: int, archived: bool
) -> None:
    ids = [keeper.add(f"{n}") for n in range(3)]
    keeper.apply(*ids)
    done = subprocess.run(
        [sys.executable, "-c", ARCHIVE, keeper.url, str(keeper.folder)],
        env={**os.environ, "CRASH_AT": point},
        timeout=60,
    )
    assert done.returncode == -9
    assert [keeper.is_archived(inbox_id) for inbox_id in ids] == [archived] * 3
    assert [keeper.read(inbox_id) for inbox_id in ids] == [keeper.bodies[f"{n}"] for n in range(3)]

    keeper.now_ms += YOUNG_MS + 1
    keeper.archive()
    assert [keeper.read(inbox_id) for inbox_id in ids] == [keeper.bodies[f"{n}"] for n in range(3)]
    keeper.now_ms += YOUNG_MS + 1
    assert len(list(check(keeper).left_over())) == left_over
    assert len(keeper.on_disk()) == 1 + left_over
    assert faults(keeper) == []


def test_two_that_archive_at_once_lose_nothing_and_leave_nothing_over(keeper: Keeper) -> None:
    ids = [keeper.add(f"{n}") for n in range(60)]
    keeper.apply(*ids)
    start = threading.Barrier(2)

    def archive() -> int:
        start.wait()
        return keeper.archive(step_events=20)

    with ThreadPoolExecutor(2) as pool:
        files = [done.result() for done in [pool.submit(archive), pool.submit(archive)]]
    assert sum(files) == len(keeper.files())
    assert [keeper.read(inbox_id) for inbox_id in ids] == [keeper.bodies[f"{n}"] for n in range(60)]
    assert sum(file.events for file in keeper.files()) == 60
    keeper.now_ms += YOUNG_MS + 1
    assert list(check(keeper).left_over()) == []
    assert faults(keeper) == []


def test_an_event_that_somebody_opens_meanwhile_stays_where_it_is(small: Keeper) -> None:
    opened, other = small.add("opened"), small.add("other")
    small.apply(opened, other)
    put = small.shelf.put

    def put_and_open(name: str, content: bytes) -> None:
        put(name, content)
        small.set_status(opened, "retrying")

    small.shelf.put = put_and_open  # type: ignore[method-assign]
    assert small.archive() == 1
    assert small.stored(opened) == small.bodies["opened"]
    assert small.is_archived(other)


def test_a_shelf_that_keeps_other_bytes_gets_no_payload(small: Keeper) -> None:
    inbox_id = small.add("a")
    small.apply(inbox_id)
    put = small.shelf.put
    small.shelf.put = lambda name, content: put(name, content[:-1])  # type: ignore[method-assign]
    with pytest.raises(ShelfError, match="nothing was archived"):
        small.archive()
    assert small.stored(inbox_id) == small.bodies["a"]


# Damage


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("keys", [[], [KEY]])
@pytest.mark.parametrize(
    ("harm", "said"),
    [(truncate, "with the rows from"), (flip, "with the rows from"), (Path.unlink, "cannot read")],
)
def test_a_file_that_is_missing_or_changed_is_named_and_never_read_as_an_event(
    small: Keeper, harm: Callable[[Path], None], said: str, keys: list[str]
) -> None:
    small.sealer = Sealer(keys)
    inbox_id = small.add("a")
    small.apply(inbox_id)
    small.archive()
    harm(small.on_disk()[0])
    (fault,) = faults(small)
    assert said in fault
    with pytest.raises(PayloadUnavailableError, match=small.files()[0].name):
        small.read(inbox_id)


# Keys


def test_files_are_sealed_anew_while_events_go_on_being_found(keeper: Keeper) -> None:
    plain = keeper.add("plain")
    keeper.apply(plain)
    keeper.archive()
    keeper.sealer = Sealer([OLD_KEY])
    old = keeper.add("old")
    keeper.apply(old)
    keeper.archive()
    keeper.sealer = Sealer([KEY, OLD_KEY])
    assert [keeper.archiver().reseal(file) for file in keeper.files()] == [True, True]
    keeper.sealer = Sealer([KEY])
    assert keeper.read(plain) == keeper.bodies["plain"]
    assert keeper.read(old) == keeper.bodies["old"]
    assert [keeper.archiver().reseal(file) for file in keeper.files()] == [False, False]
    assert len(keeper.on_disk()) == 2
    assert all(
        b"evt_" not in path.read_bytes() and file.sealed
        for path, file in zip(keeper.on_disk(), keeper.files(), strict=True)
    )
    assert faults(keeper) == []


def test_killed_while_a_file_is_sealed_anew_the_old_one_is_still_read(small: Keeper) -> None:
    inbox_id = small.add("a")
    small.apply(inbox_id)
    small.archive()
    reseal = ARCHIVE.replace("keeper.archive()", "keeper.archiver().reseal(keeper.files()[0])")
    done = subprocess.run(
        [sys.executable, "-c", reseal, small.url, str(small.folder), KEY],
        env={**os.environ, "CRASH_AT": "archive.before_replace"},
        timeout=60,
    )
    assert done.returncode == -9
    assert small.read(inbox_id) == small.bodies["a"]
    small.now_ms += YOUNG_MS + 1
    assert len(list(check(small).left_over())) == 1


def test_without_its_key_a_payload_is_archived_closed_and_opens_once_the_key_is_back(small: Keeper) -> None:
    small.sealer = Sealer([OLD_KEY])
    inbox_id = small.add("a")
    small.apply(inbox_id)
    small.sealer = Sealer([KEY])
    assert small.archive() == 1
    with pytest.raises(PayloadUnavailableError, match="PAYLOAD_KEYS"):
        small.read(inbox_id)
    small.sealer = Sealer([KEY, OLD_KEY])
    assert small.read(inbox_id) == small.bodies["a"]


# Places


def test_a_store_of_objects_keeps_the_archive_as_a_folder_does(small: Keeper) -> None:
    small.shelf = open_shelf("memory://bucket/events")
    assert isinstance(small.shelf, ObjectShelf)
    ids = [small.add(f"{n}") for n in range(5)]
    small.apply(*ids)
    assert small.archive(step_events=3) == 2
    assert [small.read(inbox_id) for inbox_id in ids] == [small.bodies[f"{n}"] for n in range(5)]
    assert sorted(small.shelf.names()) == sorted(file.name for file in small.files())
    gone = small.files()[0]
    small.shelf.remove(gone.name)
    small.shelf.remove(gone.name)
    assert len(faults(small)) == 1


@pytest.mark.parametrize("url", ["archive", "./archive", "file://archive"])
def test_a_relative_path_is_refused_each_process_would_have_its_own(url: str) -> None:
    with pytest.raises(SettingsError, match="begin it with /"):
        open_shelf(url)


def test_a_place_whose_package_is_missing_says_which_to_install() -> None:
    with pytest.raises(SettingsError, match="pip install s3fs"):
        open_shelf("s3://bucket/events").get("a")
    with pytest.raises(SettingsError, match="ARCHIVE_URL"):
        open_shelf("nowhere://me:never_shown@host/x").get("a")


def test_a_folder_that_cannot_be_written_loses_nothing_and_is_named(small: Keeper) -> None:
    inbox_id = small.add("a")
    small.apply(inbox_id)
    small.folder.write_text("a file where the folder should be")
    with pytest.raises(ShelfError, match=str(small.folder)):
        small.archive()
    assert small.stored(inbox_id) == small.bodies["a"]
