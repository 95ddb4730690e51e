"""Lists come from a replica while it keeps up, and from the database where it is away or behind."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from payouts.people import Role
from payouts.storage.engine import build_engine
from payouts.storage.replica import AWAY_S, LOOK_EVERY_S, Lists, beat
from tests.support.databases import migrated_file
from tests.support.site import Site


class Time:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def ms(self) -> int:
        return round(self.s * 1000)


class Pair:
    """A database, and a copy of it that is brought up to date when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.file, self.copy = folder / "payouts.db", folder / "replica.db"
        self.url, self.replica_url = migrated_file(self.file), f"sqlite:///{self.copy}"
        self.primary, self.replica = self.engine(self.url), self.engine(self.replica_url)
        self.time = Time()

    @staticmethod
    def engine(url: str) -> Engine:
        return build_engine(url, timeout_s=2, pool_size=2)

    def replicate(self) -> None:
        self.primary.dispose()  # the last connection writes the log into the file
        self.replica.dispose()
        shutil.copy(self.file, self.copy)

    def lists(self) -> Lists:
        return Lists(self.primary, self.replica, self.time.ms, 5_000, lambda: self.time.s)

    def close(self) -> None:
        self.primary.dispose()
        self.replica.dispose()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    beat(made.primary, made.time.ms())
    made.replicate()
    yield made
    made.close()


def where(lists: Lists) -> str:
    return lists.read(lambda connection: Path(str(connection.engine.url.database)).stem)


def test_a_replica_that_keeps_up_is_read_and_one_that_falls_behind_is_left_until_it_is_back(
    pair: Pair,
) -> None:
    lists = pair.lists()
    assert where(lists) == "replica"

    pair.time.s += 6
    assert where(lists) == "payouts", "it was last told of 6 s ago"

    beat(pair.primary, pair.time.ms())
    pair.replicate()
    assert where(lists) == "payouts", "not looked at again yet"
    pair.time.s += LOOK_EVERY_S
    assert where(lists) == "replica"


def test_a_replica_that_is_away_is_not_asked_for_a_while_and_nobody_notices(pair: Pair) -> None:
    lists = pair.lists()
    pair.replica.dispose()
    pair.copy.unlink()
    assert where(lists) == "payouts"

    pair.replicate()
    assert where(lists) == "payouts"
    pair.time.s += AWAY_S
    beat(pair.primary, pair.time.ms())
    pair.replicate()
    assert where(lists) == "replica"


def test_what_fails_on_the_replica_in_the_middle_is_read_from_the_database(pair: Pair) -> None:
    lists = pair.lists()
    assert where(lists) == "replica"
    with pair.replica.begin() as connection:
        connection.execute(text("DROP TABLE payouts"))

    assert lists.read(lambda c: c.execute(text("SELECT COUNT(*) FROM payouts")).scalar()) == 0
    assert where(lists) == "payouts"


def test_without_a_replica_everything_is_read_from_the_database(pair: Pair) -> None:
    assert where(Lists(pair.primary, None, pair.time.ms, 5_000)) == "payouts"


def test_the_lists_of_the_console_come_from_the_replica_and_single_pages_from_the_database(
    pair: Pair,
) -> None:
    site = Site(pair.url, database_replica_url=pair.replica_url)
    with site.engine.begin() as connection:
        connection.execute(text("UPDATE replica_beats SET at_ms = :now"), {"now": site.parts.clock()})
    visit = site.visit("anna", Role.ADMIN)
    site.engine.dispose()
    pair.replicate()
    site.token("berta")  # the replica does not know of her

    assert "berta" not in visit.reads("/audit"), "a list, from the replica"
    assert "berta" in visit.reads("/people"), "people decide who may do what"
    site.close()
    site.parts.lists.dispose()
