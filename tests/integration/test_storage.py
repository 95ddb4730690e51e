"""What goes into a database comes out of it, and what came twice is there once: on every kind of database."""

import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from payouts.errors import StoreUnavailableError
from payouts.event import read_envelope
from payouts.ids import IdMaker
from payouts.states import OPEN_EVENT_STATUSES, EventStatus
from payouts.storage import inbox
from payouts.storage.bulk import insert_rows, literal, update_rows
from payouts.storage.engine import build_engine, single_statement
from payouts.storage.inbox import NewEvent, Overdue
from payouts.storage.tables import payouts
from tests.support.databases import bring_up_to_date
from tests.support.lives import event_body, payout_object

NOW_MS = 1_790_000_000_000


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database of each kind."""
    made = build_engine(database_url, timeout_s=10, pool_size=5)
    bring_up_to_date(made)
    yield made
    made.dispose()


@pytest.fixture(params=["transaction", "single statements"])
def unit_of_work(request: pytest.FixtureRequest, engine: Engine, database_url: str) -> Iterator[Callable]:
    """Both ways that events are stored: by the drain in a transaction, by the receiver without one."""
    if request.param == "transaction":
        yield engine.begin
        return
    receiver_engine = build_engine(database_url, timeout_s=10, pool_size=3, autocommit=True)
    yield lambda: single_statement(receiver_engine)
    receiver_engine.dispose()


def new_event(row_id: int, event_id: str, **more: object) -> NewEvent:
    body = event_body(event_id, "paid", payout_object(f"po_{event_id}", "paid"))
    given = {"secret": "platform:0011aabb", "received_at_ms": NOW_MS, "source": inbox.WEBHOOK, **more}
    return NewEvent(id=row_id, envelope=read_envelope(body), payload=body, **given)


def stored(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.event_id: row.id for row in connection.execute(sa.text("SELECT event_id, id FROM inbox"))}


def deliveries(engine: Engine) -> list[tuple[str, int]]:
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT event_id, id FROM inbox_deliveries ORDER BY id"))
        return [(row.event_id, row.id) for row in found]


def never() -> int:
    raise AssertionError("no other row id was needed")


# Bytes and texts through a statement put together by hand

NASTY = [
    b"",
    b"'",
    b"\\",
    b"\\'",
    b"'' OR 1=1 -- ",
    b"'); DROP TABLE nasty; -- ",
    b"\\'); DROP TABLE nasty; -- ",
    b"\xbf'; DROP TABLE nasty; -- ",  # a quote eaten by a double-byte character set
    b"%s %(name)s %% %",
    b":name ?",
    b'\0\x1a\n\r\t\x08"`;#/*',
    b"\xff\xfe\x80\xc3",
    "ünï 漢字 🏦 \U0010ffff".encode(),
    bytes(range(256)),
    b"\\0\\Z\\n\\%\\_",
]


@pytest.fixture
def nasty(engine: Engine) -> Engine:
    """A table of a number, bytes and a text."""
    kinds = "MEDIUMBLOB, words MEDIUMTEXT" if engine.dialect.name != "sqlite" else "BLOB, words TEXT"
    options = "" if engine.dialect.name == "sqlite" else " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE nasty (id BIGINT PRIMARY KEY, raw {kinds}){options}"))
    return engine


_nasty = sa.Table("nasty", sa.MetaData(), *(sa.Column(name) for name in ("id", "raw", "words")))

Row = tuple[int, bytes | None, str | None]


def round_trip(engine: Engine, rows: Sequence[Row], write: Callable[..., object] = insert_rows) -> list[Row]:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM nasty"))
        write(connection, _nasty, ("id", "raw", "words"), rows)
        found = connection.execute(sa.text("SELECT id, raw, words FROM nasty ORDER BY id"))
        return [(row.id, row.raw, row.words) for row in found]


def test_bytes_meant_to_break_a_statement_come_out_as_they_went_in(nasty: Engine) -> None:
    rows: list[Row] = [(at, raw, None) for at, raw in enumerate(NASTY)]
    assert round_trip(nasty, rows) == rows


def test_texts_meant_to_break_a_statement_come_out_as_they_went_in(nasty: Engine) -> None:
    rows: list[Row] = [(at, None, raw.decode("utf-8", "ignore")) for at, raw in enumerate(NASTY)]
    assert round_trip(nasty, rows) == rows


def test_an_update_in_bulk_writes_what_it_was_given_and_only_what_changes(nasty: Engine) -> None:
    first: list[Row] = [(at, b"kept", "before") for at in range(len(NASTY))]
    given: list[Row] = [(at, b"not this", raw.decode("latin-1")) for at, raw in enumerate(NASTY)]

    def write(connection: Connection, *arguments: Any) -> None:
        insert_rows(connection, _nasty, ("id", "raw", "words"), first)
        update_rows(connection, *arguments, changing=("words",))

    assert round_trip(nasty, given, write) == [(at, b"kept", words) for at, _, words in given]


def test_an_update_in_bulk_writes_bytes_as_they_are(nasty: Engine) -> None:
    given: list[Row] = [(at, raw, None) for at, raw in enumerate(NASTY)]

    def write(connection: Connection, *arguments: Any) -> None:
        insert_rows(connection, _nasty, ("id", "raw", "words"), [(at, b"", None) for at in range(len(NASTY))])
        update_rows(connection, *arguments, changing=("raw",))

    assert round_trip(nasty, given, write) == given


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
_snippets = st.sampled_from(["'", "\\", "\0", "%", '"', "''", "\\'", "-- ", "\U0001f3e6", "x", ";"])
_words = st.one_of(st.none(), _texts, st.lists(_snippets, max_size=12).map("".join))
_raw = st.one_of(
    st.none(), st.binary(max_size=80), st.lists(_snippets, max_size=12).map("".join).map(str.encode)
)
_several = st.lists(st.tuples(_raw, _words), min_size=1, max_size=6)
_fixture_is_fine = [HealthCheck.function_scoped_fixture]


@settings(max_examples=250, deadline=None, suppress_health_check=_fixture_is_fine)
@given(pairs=_several)
def test_whatever_goes_in_comes_out(nasty: Engine, pairs: list[tuple[bytes | None, str | None]]) -> None:
    rows: list[Row] = [(at, raw, words) for at, (raw, words) in enumerate(pairs)]
    assert round_trip(nasty, rows) == rows


@settings(max_examples=60, deadline=None, suppress_health_check=_fixture_is_fine)
@given(number=st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_of_64_bits_come_out_as_they_went_in(nasty: Engine, number: int) -> None:
    assert round_trip(nasty, [(number, None, None)]) == [(number, None, None)]


def test_half_a_surrogate_pair_cannot_break_a_literal() -> None:
    assert literal("a\ud800b") == b"'a?b'"


def test_a_statement_that_is_refused_leaves_nothing_of_itself(nasty: Engine) -> None:
    if nasty.dialect.name == "sqlite":
        pytest.skip("SQLite writes one row a statement; a transaction goes around them")
    with nasty.begin() as connection:
        insert_rows(connection, _nasty, ("id", "raw", "words"), [(2, b"there", None)])
        with pytest.raises(sa.exc.IntegrityError):
            insert_rows(connection, _nasty, ("id", "raw", "words"), [(1, b"", None), (2, b"", None)])
        assert connection.execute(sa.text("SELECT id, raw FROM nasty")).all() == [(2, b"there")]


def test_a_value_that_would_be_cut_short_is_not_acknowledged(mariadb_url: str) -> None:
    engine = build_engine(mariadb_url, timeout_s=10, pool_size=1)
    bring_up_to_date(engine)
    event = new_event(1, "evt_1", secret="x" * 33)
    with engine.begin() as connection, pytest.raises(StoreUnavailableError, match="nothing was acknowledged"):
        inbox.add_events(connection, [event], never)
    engine.dispose()


# Events into the inbox


def test_new_events_are_stored_whole_and_their_ids_returned(engine: Engine, unit_of_work: Callable) -> None:
    events = [new_event(30 - at, f"evt_{at}") for at in range(3)]
    with unit_of_work() as connection:
        new_ids = inbox.add_events(connection, events, never)
    assert sorted(new_ids) == [28, 29, 30]
    assert stored(engine) == {"evt_0": 30, "evt_1": 29, "evt_2": 28}
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM inbox WHERE id = 30")).one()
    expected = {
        "event_id": "evt_0",
        "account": "acct_1Made",
        "type": "payout.paid",
        "kind": "snapshot",
        "object_id": "po_evt_0",
        "livemode": 0,
        "api_version": "2026-10-28.endive",
        "created_s": 1_790_000_000,
        "source": "webhook",
        "secret": "platform:0011aabb",
        "received_at_ms": NOW_MS,
        "status": "received",
        "due_at_ms": NOW_MS,
        "attempts": 0,
        "resends": 0,
        "processed_at_ms": None,
        "reason": None,
        "last_error": None,
        "payload": events[0].payload,
    }
    assert {name: getattr(row, name) for name in expected} == expected


def test_a_repeated_delivery_leaves_the_event_as_it_is_and_is_noted(
    engine: Engine, unit_of_work: Callable
) -> None:
    with unit_of_work() as connection:
        inbox.add_events(connection, [new_event(1, "evt_old")], never)
    with unit_of_work() as connection:
        new_ids = inbox.add_events(connection, [new_event(2, "evt_old"), new_event(3, "evt_new")], never)
    assert new_ids == [3]
    assert stored(engine) == {"evt_old": 1, "evt_new": 3}
    assert deliveries(engine) == [("evt_old", 2)]


def test_an_event_twice_in_one_batch_is_stored_once_and_noted_once(
    engine: Engine, unit_of_work: Callable
) -> None:
    events = [new_event(2, "evt_a"), new_event(1, "evt_a"), new_event(3, "evt_b")]
    with unit_of_work() as connection:
        new_ids = inbox.add_events(connection, events, never)
    assert sorted(new_ids) == [1, 3]
    assert stored(engine) == {"evt_a": 1, "evt_b": 3}
    assert deliveries(engine) == [("evt_a", 2)]


def test_the_same_delivery_written_twice_counts_no_delivery_and_is_new_both_times(
    engine: Engine, unit_of_work: Callable
) -> None:
    # As after a lost answer to the COMMIT: the writer cannot know, so its hint must go out.
    event = new_event(1, "evt_a")
    for _ in range(2):
        with unit_of_work() as connection:
            assert inbox.add_events(connection, [event], never) == [1]
    assert stored(engine) == {"evt_a": 1}
    assert deliveries(engine) == []


def test_a_repeated_delivery_written_twice_is_noted_once(engine: Engine, unit_of_work: Callable) -> None:
    with unit_of_work() as connection:
        inbox.add_events(connection, [new_event(1, "evt_a")], never)
    for _ in range(2):
        with unit_of_work() as connection:
            assert inbox.add_events(connection, [new_event(2, "evt_a")], never) == []
    assert deliveries(engine) == [("evt_a", 2)]


def test_a_row_id_that_another_event_has_is_drawn_again(engine: Engine, unit_of_work: Callable) -> None:
    with unit_of_work() as connection:
        inbox.add_events(connection, [new_event(1, "evt_there")], never)
    drawn = iter([50])
    with unit_of_work() as connection:
        new_ids = inbox.add_events(
            connection, [new_event(1, "evt_collides"), new_event(2, "evt_free")], lambda: next(drawn)
        )
    assert sorted(new_ids) == [2, 50]
    assert stored(engine) == {"evt_there": 1, "evt_collides": 50, "evt_free": 2}
    assert deliveries(engine) == []


def test_a_row_id_drawn_again_that_is_taken_too_is_drawn_once_more(
    engine: Engine, unit_of_work: Callable
) -> None:
    with unit_of_work() as connection:
        inbox.add_events(connection, [new_event(at, f"evt_{at}") for at in (1, 2)], never)
    drawn = iter([2, 3])
    with unit_of_work() as connection:
        assert inbox.add_events(connection, [new_event(1, "evt_new")], lambda: next(drawn)) == [3]
    assert stored(engine) == {"evt_1": 1, "evt_2": 2, "evt_new": 3}


def test_without_any_free_row_id_nothing_is_acknowledged(engine: Engine, unit_of_work: Callable) -> None:
    with unit_of_work() as connection:
        inbox.add_events(connection, [new_event(1, "evt_there")], never)
    with pytest.raises(StoreUnavailableError, match="row id"), unit_of_work() as connection:
        inbox.add_events(connection, [new_event(1, "evt_new")], lambda: 1)
    assert stored(engine) == {"evt_there": 1}


@settings(max_examples=40, deadline=None, suppress_health_check=_fixture_is_fine)
@given(batches=st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=4))
def test_every_delivery_is_either_the_first_of_its_event_or_noted(
    engine: Engine, batches: list[list[int]]
) -> None:
    with engine.begin() as connection:
        for table in ("inbox", "inbox_deliveries"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    make_id = IdMaker()
    new_ids: list[int] = []
    for batch in batches:
        with engine.begin() as connection:
            events = [new_event(make_id(), f"evt_{number}") for number in batch]
            new_ids += inbox.add_events(connection, events, make_id)
    offered = [number for batch in batches for number in batch]
    assert sorted(new_ids) == sorted(stored(engine).values())
    assert set(stored(engine)) == {f"evt_{number}" for number in offered}
    assert len(new_ids) + len(deliveries(engine)) == len(offered)


# What waits, and what is finished


@pytest.fixture
def six(engine: Engine) -> Engine:
    """One event of each status, row ids 1 to 6 in the order of the enum, all due long ago."""
    with engine.begin() as connection:
        inbox.add_events(connection, [new_event(at, f"evt_{at}") for at in range(1, 7)], never)
        for at, status in enumerate(EventStatus, 1):
            connection.execute(
                sa.text("UPDATE inbox SET status = :s WHERE id = :id"), {"s": status, "id": at}
            )
    return engine


def _set(engine: Engine, row_id: int, **values: object) -> None:
    names = ", ".join(f"{name} = :{name}" for name in values)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE inbox SET {names} WHERE id = :id"), {**values, "id": row_id})


def _field(engine: Engine, row_id: int, *names: str) -> tuple[object, ...]:
    with engine.connect() as connection:
        row = connection.execute(sa.text(f"SELECT {', '.join(names)} FROM inbox WHERE id = {row_id}")).one()
    return tuple(row)


def test_only_open_events_are_locked_for_work_in_the_order_of_their_ids(six: Engine) -> None:
    with six.begin() as connection:
        items = inbox.lock_open(connection, [6, 5, 4, 3, 2, 1, 1, 99], NOW_MS)
    assert [item.id for item in items] == [1, 2, 3]
    assert [item.event_id for item in items] == ["evt_1", "evt_2", "evt_3"]
    assert (items[0].account, items[0].type, items[0].kind, items[0].attempts) == (
        *("acct_1Made", "payout.paid", "snapshot"),
        0,
    )
    assert items[0].payload == new_event(1, "evt_1").payload


def test_an_event_whose_time_has_not_come_is_left_alone_unless_it_is_new(six: Engine) -> None:
    for row_id in (1, 2, 3):
        _set(six, row_id, due_at_ms=NOW_MS + 1000)
    with six.begin() as connection:
        assert [item.id for item in inbox.lock_open(connection, [1, 2, 3], NOW_MS)] == [1]
        assert [item.id for item in inbox.lock_open(connection, [1, 2, 3], NOW_MS + 800)] == [1, 2, 3]


def test_an_event_under_lock_is_left_to_who_has_it(mariadb_url: str) -> None:
    engine = build_engine(mariadb_url, timeout_s=10, pool_size=5)
    bring_up_to_date(engine)
    with engine.begin() as connection:
        inbox.add_events(connection, [new_event(1, "evt_1"), new_event(2, "evt_2")], never)
    with engine.begin() as first:
        assert [item.id for item in inbox.lock_open(first, [1], NOW_MS)] == [1]
        with engine.begin() as second:
            assert [item.id for item in inbox.lock_open(second, [1, 2], NOW_MS)] == [2]
            assert [found.id for found in inbox.overdue(second, NOW_MS + 10**6, 10)] == [2]
        inbox.finish(first, [(1, EventStatus.APPLIED, "done")], NOW_MS)
    with engine.begin() as connection:
        assert inbox.lock_open(connection, [1], NOW_MS) == []
    engine.dispose()


def test_finished_events_carry_status_reason_and_time_and_others_are_untouched(six: Engine) -> None:
    outcomes = [
        (1, EventStatus.APPLIED, "first seen"),
        (2, EventStatus.IGNORED, "late: paid after failed"),
        (3, EventStatus.IGNORED, None),
    ]
    with six.begin() as connection:
        inbox.finish(connection, outcomes, NOW_MS + 5)
    columns = ("status", "reason", "processed_at_ms")
    assert _field(six, 1, *columns) == ("applied", "first seen", NOW_MS + 5)
    assert _field(six, 2, *columns) == ("ignored", "late: paid after failed", NOW_MS + 5)
    assert _field(six, 3, *columns) == ("ignored", None, NOW_MS + 5)
    assert _field(six, 6, *columns) == ("dead", None, None)


def test_a_reason_longer_than_its_column_is_cut(six: Engine) -> None:
    with six.begin() as connection:
        inbox.finish(connection, [(1, EventStatus.IGNORED, "é" * 300)], NOW_MS)
        inbox.defer(connection, 2, "ü" * 300, NOW_MS)
    assert _field(six, 1, "reason") == ("é" * 255,)
    assert _field(six, 2, "reason") == ("ü" * 255,)


def test_a_deferred_event_waits_without_an_attempt(six: Engine) -> None:
    with six.begin() as connection:
        inbox.defer(connection, 1, "asks Stripe", NOW_MS + 60_000)
    found = _field(six, 1, "status", "reason", "due_at_ms", "attempts", "processed_at_ms")
    assert found == ("deferred", "asks Stripe", NOW_MS + 60_000, 0, None)


def test_only_open_events_past_their_time_are_overdue_the_oldest_first(six: Engine) -> None:
    with six.begin() as connection:
        inbox.add_events(
            connection, [new_event(7, "evt_7", received_at_ms=NOW_MS - 500), new_event(8, "evt_8")], never
        )
    _set(six, 8, due_at_ms=NOW_MS + 1)
    _set(six, 3, resends=4)
    with six.begin() as connection:
        found = inbox.overdue(connection, NOW_MS, 100)
    assert found == [Overdue(7, 0), Overdue(1, 0), Overdue(2, 0), Overdue(3, 4)]
    assert {1, 2, 3} == {at for at, status in enumerate(EventStatus, 1) if status in OPEN_EVENT_STATUSES}


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_no_more_overdue_events_come_than_asked_for(six: Engine, limit: int) -> None:
    with six.begin() as connection:
        assert len(inbox.overdue(connection, NOW_MS, limit)) == min(limit, 3)


def test_a_resend_is_counted_and_puts_an_open_event_off_but_no_finished_one(six: Engine) -> None:
    with six.begin() as connection:
        inbox.note_resend(connection, {1: NOW_MS + 10, 2: NOW_MS + 10, 3: NOW_MS + 20, 4: NOW_MS + 30})
    columns = ("resends", "due_at_ms")
    assert _field(six, 1, *columns) == (1, NOW_MS + 10)
    assert _field(six, 2, *columns) == (1, NOW_MS + 10)
    assert _field(six, 3, *columns) == (1, NOW_MS + 20)
    assert _field(six, 4, *columns) == (0, NOW_MS)


def test_an_error_of_the_database_shows_no_payload(mariadb_url: str) -> None:
    # given a table that refuses a row for a value that does not fit
    engine = build_engine(mariadb_url, timeout_s=10, pool_size=1)
    bring_up_to_date(engine)
    # when the row carries what nobody but the partner should see
    with pytest.raises(DBAPIError) as raised, engine.begin() as connection:
        insert_rows(
            connection, payouts, ["id", "stripe_id", "currency"], [(1, "jane-doe-iban", "too long for it")]
        )
    engine.dispose()
    # then neither the error nor its whole text has it
    assert "jane-doe-iban" not in str(raised.value)
    assert "INSERT INTO payouts" in str(raised.value)


def test_a_new_connection_reads_certificates_only_where_the_address_names_them(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(**_: object) -> None:
        raise AssertionError("the certificates were read")

    monkeypatch.setattr(ssl, "create_default_context", read)
    plain = build_engine(mariadb_url, timeout_s=10, pool_size=1)
    with plain.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    plain.dispose()
    checking = build_engine(f"{mariadb_url}?ssl_ca=ours.pem", timeout_s=10, pool_size=1)
    with pytest.raises(AssertionError, match="were read"):
        checking.connect()
