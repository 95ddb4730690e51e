"""Lists far back: a page reads its own rows, not all that are newer."""

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from payouts.storage.audit_rows import entry_list
from payouts.storage.people_tables import audit
from payouts.storage.queries import Filters

ROWS, PAGE = 3_000, 50


def test_a_page_far_back_reads_no_more_rows_than_it_shows(shared_engine: Engine) -> None:
    # given a log whose entries nearly all have one actor
    with shared_engine.begin() as connection:
        connection.execute(sa.insert(audit), [_entry(number) for number in range(1, ROWS + 1)])
    _analyze(shared_engine)

    # when a page in the middle of that actor's entries is asked for
    filters = Filters({"actor": "anna"}, since_id=10, before_id=ROWS // 2)
    with shared_engine.connect() as connection:
        before = _rows_read(connection)
        rows = entry_list(connection, filters, PAGE)
        read = _rows_read(connection) - before

    # then it has the entries before that place, and nothing else was read for it
    assert [row["id"] for row in rows] == [n for n in range(ROWS // 2 - 1, 0, -1) if n % 100][:PAGE]
    assert read <= PAGE + 10

    # and where the entries come to an end, so does the reading
    with shared_engine.connect() as connection:
        before = _rows_read(connection)
        assert entry_list(connection, Filters({"actor": "anna"}, since_id=ROWS - 5), PAGE)
        assert _rows_read(connection) - before <= PAGE


def _entry(number: int) -> dict[str, object]:
    known = dict.fromkeys(("account", "chain", "action", "subject", "previous", "digest"), "x")
    actor = "ben" if number % 100 == 0 else "anna"
    return {**known, "id": number, "number": number, "at_ms": 1, "actor": actor, "details": "{}"}


def _analyze(engine: Engine) -> None:
    if engine.dialect.name == "mariadb":
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE TABLE audit")


def _rows_read(connection: Connection) -> int:
    """How many rows this connection has read in order; SQLite does not say: none."""
    if connection.dialect.name != "mariadb":
        return 0
    told = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read_%%'")
    return sum(int(value) for name, value in told if name.endswith(("_prev", "_next", "_rnd")))
