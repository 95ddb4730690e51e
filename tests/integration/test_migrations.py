"""Containers that start together upgrade the schema in turns, and a schema that differs is reported."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from payouts.storage import migrate, revisions
from payouts.storage.engine import build_engine
from tests.support.servers import SqlServer

UPGRADE = """
import sys
from payouts.storage import migrate
from payouts.storage.engine import build_engine
engine = build_engine(sys.argv[1], timeout_s=30, pool_size=2)
sys.stdin.readline()
print(migrate.upgrade(engine))
engine.dispose()
"""


def test_four_upgrades_at_once_all_succeed(bare_database_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, bare_database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [(*process.communicate(timeout=60), process.returncode) for process in started]

    assert [(out.strip(), code) for out, _, code in ends] == [(revisions.newest(), 0)] * 4, ends
    engine = build_engine(bare_database_url, timeout_s=10, pool_size=2)
    assert migrate.check(engine) == []
    revisions.require_current(engine)
    engine.dispose()


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(bare_database_url: str) -> None:
    engine = build_engine(bare_database_url, timeout_s=10, pool_size=2)
    assert migrate.upgrade(engine) == migrate.upgrade(engine) == revisions.newest()
    assert migrate.check(engine) == []
    engine.dispose()


def test_a_database_that_was_never_upgraded_is_refused(bare_database_url: str) -> None:
    engine = build_engine(bare_database_url, timeout_s=10, pool_size=2)
    with pytest.raises(revisions.SchemaError, match="payouts db upgrade"):
        revisions.require_current(engine)
    engine.dispose()


def test_the_statements_that_are_printed_make_the_same_schema(mariadb: SqlServer) -> None:
    engine = build_engine(mariadb.new_database(), timeout_s=10, pool_size=2)
    printed = [line for line in migrate.upgrade_sql("mariadb").splitlines() if not line.startswith("--")]
    with engine.begin() as connection:
        for statement in "\n".join(printed).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement.replace("%", "%%"))

    assert migrate.check(engine) == []
    engine.dispose()


def test_for_sqlite_no_statements_are_printed() -> None:
    with pytest.raises(revisions.SchemaError, match="payouts db upgrade"):
        migrate.upgrade_sql("sqlite")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE payouts ADD COLUMN by_hand INTEGER", "by_hand"),
        ("DROP INDEX ix_inbox_status_due_at_ms", "ix_inbox_status_due_at_ms"),
        ("ALTER TABLE inbox DROP COLUMN last_error", "last_error"),
    ],
    ids=["column added", "index dropped", "column dropped"],
)
def test_a_schema_changed_by_hand_is_reported(bare_database_url: str, change: str, named: str) -> None:
    engine = build_engine(bare_database_url, timeout_s=10, pool_size=2)
    migrate.upgrade(engine)
    if change.startswith("DROP INDEX") and engine.dialect.name != "sqlite":
        change += " ON inbox"
    with engine.begin() as connection:
        connection.execute(sa.text(change))

    lines = migrate.check(engine)

    assert len(lines) == 1
    assert named in lines[0]
    engine.dispose()


def test_the_databases_that_tests_are_given_are_as_a_migration_makes_them(database_url: str) -> None:
    engine = build_engine(database_url, timeout_s=10, pool_size=2)
    assert migrate.check(engine) == []
    revisions.require_current(engine)
    engine.dispose()


def test_the_revisions_are_those_that_alembic_finds_in_its_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(revisions.SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert revisions.all_revisions() == [each.revision for each in scripts.walk_revisions()][::-1]
    assert revisions.newest() == scripts.get_current_head()


@pytest.mark.parametrize(
    ("noted", "known", "refused"), [("0001", True, True), ("9999", False, False)], ids=["behind", "newer"]
)
def test_a_database_that_is_behind_is_refused_and_a_newer_one_is_not(
    database_url: str, noted: str, known: bool, refused: bool
) -> None:
    engine = build_engine(database_url, timeout_s=10, pool_size=2)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{noted}'"))

    assert revisions.revisions(engine) == revisions.Revisions(noted, revisions.newest(), known)
    with pytest.raises(revisions.SchemaError) if refused else nullcontext():
        revisions.require_current(engine)
    engine.dispose()
