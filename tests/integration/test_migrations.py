"""Containers that start together upgrade the schema in turns, and a schema that differs is reported."""

import subprocess
import sys

import pytest
import sqlalchemy as sa

from payouts.storage import migrate
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


def test_four_upgrades_at_once_all_succeed(database_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, database_url],
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

    assert [(out.strip(), code) for out, _, code in ends] == [(migrate.newest(), 0)] * 4, ends
    engine = build_engine(database_url, timeout_s=10, pool_size=2)
    assert migrate.check(engine) == []
    migrate.require_current(engine)
    engine.dispose()


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(database_url: str) -> None:
    engine = build_engine(database_url, timeout_s=10, pool_size=2)
    assert migrate.upgrade(engine) == migrate.upgrade(engine) == migrate.newest()
    assert migrate.check(engine) == []
    engine.dispose()


def test_a_database_that_was_never_upgraded_is_refused(database_url: str) -> None:
    engine = build_engine(database_url, timeout_s=10, pool_size=2)
    with pytest.raises(migrate.SchemaError, match="payouts db upgrade"):
        migrate.require_current(engine)
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
    with pytest.raises(migrate.SchemaError, match="payouts db upgrade"):
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
def test_a_schema_changed_by_hand_is_reported(database_url: str, change: str, named: str) -> None:
    engine = build_engine(database_url, timeout_s=10, pool_size=2)
    migrate.upgrade(engine)
    if change.startswith("DROP INDEX") and engine.dialect.name != "sqlite":
        change += " ON inbox"
    with engine.begin() as connection:
        connection.execute(sa.text(change))

    lines = migrate.check(engine)

    assert len(lines) == 1
    assert named in lines[0]
    engine.dispose()
