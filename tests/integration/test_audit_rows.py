"""The audit log on every kind of database: chained whoever writes at once, and tampering is found."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.audit import GENESIS, START, Fault, verify
from payouts.errors import PayoutsError
from payouts.ids import IdMaker
from payouts.storage import audit_rows
from payouts.storage.engine import build_engine, is_lock_wait
from payouts.storage.queries import Filters, reading
from tests.support.databases import bring_up_to_date

NOW_MS = 1_795_000_000_000
CHAIN = "acct_1/2026-11"
THREADS, EACH = 8, 50


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database of each kind, with a connection for every thread."""
    made = build_engine(database_url, timeout_s=20, pool_size=THREADS)
    bring_up_to_date(made)
    yield made
    made.dispose()


def append(engine: Engine, make_id: IdMaker, subject: str = "pay_1", **more: object) -> None:
    given = {"actor": "anna", "action": "payout.approve", "account": "acct_1", **more}
    with engine.begin() as connection:
        audit_rows.append(connection, make_id, NOW_MS, subject=subject, **given)  # type: ignore[arg-type]


def fill(engine: Engine, count: int) -> None:
    make_id = IdMaker()
    for number in range(1, count + 1):
        append(engine, make_id, f"pay_{number}", details={"amount_minor": number})


def fault_of(engine: Engine, chain: str = CHAIN) -> Fault | None:
    with reading(engine) as connection:
        head = audit_rows.head_of(connection, chain) or START
        return verify(audit_rows.walk(connection, chain, head), head)


def run(engine: Engine, sql: str, **values: object) -> None:
    with engine.begin() as connection:
        assert connection.execute(sa.text(sql), values).rowcount > 0, "the tampering changed nothing"


def test_many_who_write_at_once_make_one_whole_chain(engine: Engine) -> None:
    make_id, together = IdMaker(), threading.Barrier(THREADS)
    failures: list[BaseException] = []

    def write(name: str) -> None:
        together.wait()
        for number in range(EACH):
            try:
                while True:
                    try:
                        append(engine, make_id, f"pay_{number}", actor=name)
                        break
                    except Exception as error:
                        # On a slow machine the wait for the head may run out. A deadlock never happens.
                        if not is_lock_wait(error):
                            raise
            except BaseException as error:
                failures.append(error)
                raise

    threads = [threading.Thread(target=write, args=(f"writer-{n}",)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT number, previous, digest FROM audit ORDER BY number")).all()
    assert [row.number for row in rows] == list(range(1, THREADS * EACH + 1))
    assert [row.previous for row in rows] == [GENESIS, *(row.digest for row in rows[:-1])]
    assert fault_of(engine) is None


def test_the_first_entries_of_new_chains_never_deadlock(engine: Engine) -> None:
    make_id, together, chains = IdMaker(), threading.Barrier(THREADS), 15

    def write(_: int) -> None:
        for number in range(chains):
            together.wait(30)
            append(engine, make_id, account=f"acct_{number}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))
    for number in range(chains):
        assert fault_of(engine, f"acct_{number}/2026-11") is None
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT COUNT(*) FROM audit")).scalar_one() == THREADS * chains


def test_an_entry_goes_with_the_transaction_that_it_is_about(engine: Engine) -> None:
    fill(engine, 2)
    with engine.connect() as connection:
        audit_rows.append(
            connection, IdMaker(), NOW_MS, actor="anna", action="x", subject="y", account="acct_1"
        )
        connection.rollback()
    fill(engine, 1)
    with reading(engine) as connection:
        head = audit_rows.head_of(connection, CHAIN)
    assert head is not None
    assert head.number == 3
    assert fault_of(engine) is None


def test_what_is_sealed_is_what_is_stored_whatever_was_written(engine: Engine) -> None:
    make_id = IdMaker()
    append(
        engine, make_id, "pay_'\\\"% ü 漢字 🏦", reason="half a character: \udcff", details={"ü": "\udcff'\\"}
    )
    append(engine, make_id, reason="long " * 100, actor="ä" * 100)
    append(engine, make_id, reason="", details={})
    assert fault_of(engine) is None


def test_a_token_typed_as_a_reason_is_not_kept(engine: Engine) -> None:
    append(engine, IdMaker(), reason="with pt_" + "s" * 43)
    with reading(engine) as connection:
        rows = audit_rows.entry_list(connection, Filters({}), 10)
    assert [row["reason"] for row in rows] == ["with pt_***"]


@pytest.mark.parametrize(
    ("sql", "number", "said"),
    [
        ("UPDATE audit SET actor = 'bert' WHERE number = 7", 7, "was changed"),
        ("UPDATE audit SET details = '{}' WHERE number = 7", 7, "was changed"),
        ("UPDATE audit SET reason = '' WHERE number = 7", 7, "was changed"),
        ("UPDATE audit SET number = number + 100 WHERE number = 7", 7, "is missing"),
        ("DELETE FROM audit WHERE number = 1", 1, "is missing"),
        ("DELETE FROM audit WHERE number = 5", 5, "is missing"),
        ("DELETE FROM audit WHERE number = 7", 7, "is missing"),
        ("DELETE FROM audit WHERE number > 10", 11, "ends too early"),
        ("DELETE FROM audit WHERE number = 12", 12, "ends too early"),
        ("DELETE FROM audit", 1, "ends too early"),
        ("UPDATE audit_chains SET number = 8", 8, "head names"),
        (
            "UPDATE audit_chains SET number = 8, digest = (SELECT digest FROM audit WHERE number = 8)",
            9,
            "behind the chain's end",
        ),
        ("DELETE FROM audit_chains", 1, "behind the chain's end"),
    ],
)
def test_tampering_is_found_and_names_the_first_entry_that_does_not_fit(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, sql: str, number: int, said: str
) -> None:
    monkeypatch.setattr(audit_rows, "PAGE", 5)  # so that a chain of 12 has several pages
    fill(engine, 12)
    assert fault_of(engine) is None
    run(engine, sql)
    fault = fault_of(engine)
    assert fault is not None
    assert (fault.number, said in fault.what) == (number, True), str(fault)


def test_entries_added_while_a_chain_is_walked_do_not_break_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_rows, "PAGE", 5)
    fill(engine, 12)
    with reading(engine) as connection:
        head = audit_rows.head_of(connection, CHAIN)
        assert head is not None
        walked = audit_rows.walk(connection, CHAIN, head)
        first = next(walked)
        fill(engine, 3)
        assert verify(iter([first, *walked]), head) is None
    assert fault_of(engine) is None


def test_a_head_that_was_set_back_stops_new_entries_instead_of_hiding_old_ones(engine: Engine) -> None:
    fill(engine, 5)
    run(engine, "UPDATE audit_chains SET number = 3")
    with pytest.raises(PayoutsError, match="payouts audit verify --chain acct_1/2026-11"):
        append(engine, IdMaker())


def test_a_row_id_that_is_taken_is_drawn_again(engine: Engine) -> None:
    fill(engine, 1)
    with engine.connect() as connection:
        taken = connection.execute(sa.text("SELECT id FROM audit")).scalar_one()
    ids = iter([taken, taken + 1])
    append(engine, lambda: next(ids))  # type: ignore[arg-type]
    assert fault_of(engine) is None


def test_each_account_and_month_is_a_chain_and_all_are_found_by_name(engine: Engine) -> None:
    make_id = IdMaker()
    for account in ("platform", "acct_2", "acct_1"):
        append(engine, make_id, account=account)
    run(engine, "DELETE FROM audit_chains WHERE account = 'acct_2'")
    run(engine, "DELETE FROM audit WHERE account = 'platform'")
    found, name = [], ""
    with reading(engine) as connection:
        while (chain := audit_rows.next_chain(connection, name)) is not None:
            found.append(name := chain)
        assert not audit_rows.chain_exists(connection, "acct_3/2026-11")
    assert found == ["acct_1/2026-11", "acct_2/2026-11", "platform/2026-11"]


def test_the_list_is_narrowed_and_goes_on_behind_a_row(engine: Engine) -> None:
    make_id = IdMaker()
    for number in range(6):
        append(engine, make_id, f"pay_{number % 2}", actor="anna" if number < 4 else "bert")
    with reading(engine) as connection:

        def subjects(filters: Filters, limit: int = 10) -> list[str]:
            return [row["subject"] for row in audit_rows.entry_list(connection, filters, limit)]

        assert subjects(Filters({"actor": "anna"})) == ["pay_1", "pay_0", "pay_1", "pay_0"]
        assert subjects(Filters({"actor": "bert", "subject": "pay_1"})) == ["pay_1"]
        newest = audit_rows.entry_list(connection, Filters({}), 2)
        assert subjects(Filters({}, before_id=newest[-1]["id"])) == ["pay_1", "pay_0", "pay_1", "pay_0"]
        assert subjects(Filters({}, since_id=newest[-1]["id"])) == ["pay_1", "pay_0"]
