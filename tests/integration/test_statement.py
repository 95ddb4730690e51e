"""Statements and exports add up, whatever the period, and can be opened in a spreadsheet."""

import csv
import io
import random
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from payouts.errors import RefusedError
from payouts.exporting import (
    JOURNAL_COLUMNS,
    STATEMENT_COLUMNS,
    journal_rows,
    plain,
    statement_rows,
    write_csv,
)
from payouts.ids import IdMaker
from payouts.money import parse_money
from payouts.partner import Partner
from payouts.statement import Statement, StatementLine, statement
from payouts.storage import statement_queries
from payouts.storage.engine import build_engine
from payouts.storage.money_tables import ledger_transactions
from payouts.storage.queries import reading
from tests.support.books import World
from tests.support.databases import bring_up_to_date
from tests.support.lives import payout_object
from tests.support.partners import Desk

DAY_MS = 86_400_000


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    engine = build_engine(database_url, timeout_s=10, pool_size=5)
    bring_up_to_date(engine)
    yield World(engine, random.Random(7))
    engine.dispose()


def made(
    world: World, partner: Partner, from_ms: int, until_ms: int
) -> tuple[Statement, list[StatementLine]]:
    with reading(world.engine) as connection:
        found = statement(connection, partner, from_ms, until_ms, world.clock())
        return found, list(found.lines(connection))


def paid(world: World, partner: Partner, amount: int) -> dict[str, Any]:
    """A payout that was sent and that Stripe calls paid."""
    request_id = world.request(partner, amount)
    world.sender.send(request_id)
    payout = list(world.stripe.payouts.values())[-1]
    tell(world, payout, "paid")
    return payout


def tell(world: World, payout: dict[str, Any], status: str) -> None:
    world.tell(payout_object(payout["id"], status, payout["amount"], metadata=payout["metadata"]), payout)


def csv_of(columns: tuple[str, ...], rows: Any) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    write_csv(file, columns, rows)
    return list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))


def test_credits_add_and_payments_take_away_and_asking_for_a_payment_changes_nothing(world: World) -> None:
    partner, begin = world.partners[0], world.clock()
    paid(world, partner, 1_000)
    world.clock.pass_(hours=1)
    world.request(partner, 400)

    found, lines = made(world, partner, begin, world.clock() + 1)

    assert [(line.kind, line.amount_minor, line.balance_minor) for line in lines] == [
        ("credit", 1_000, 1_000),
        ("payout_paid", -1_000, 0),
        ("credit", 400, 400),
    ]
    assert (found.opening_minor, found.closing_minor) == (0, 400)
    assert (found.owed_minor, found.in_transit_minor) == (0, 400)


def test_a_payment_is_unsettled_for_five_business_days_or_until_the_bank_returns_it(world: World) -> None:
    partner, begin = world.partners[0], world.clock()
    first = paid(world, partner, 1_000)
    paid(world, partner, 200)
    world.clock.pass_(hours=24 * 4)
    found, lines = made(world, partner, begin, world.clock() + 1)
    assert found.unsettled_minor == 1_200
    assert sorted(line.unsettled_minor for line in lines) == [0, 0, 200, 1_000]

    tell(world, first, "failed")
    found, lines = made(world, partner, begin, world.clock() + 1)
    assert (found.unsettled_minor, found.closing_minor, found.returned_minor) == (200, 1_000, 1_000)
    assert lines[-1].amount_minor == 1_000

    world.clock.pass_(hours=24 * 4)
    found, _ = made(world, partner, begin, world.clock() + 1)
    assert found.unsettled_minor == 0


def test_a_balance_below_nothing_is_shown_as_it_is(world: World) -> None:
    desk, partner = Desk(world.engine), world.partners[0]
    desk.change(partner, 500, "sale", effective_at_ms=desk.now_ms - 3 * DAY_MS)
    desk.change(partner, -800, "refund", effective_at_ms=desk.now_ms - DAY_MS)
    found, lines = made(world, partner, desk.now_ms - 2 * DAY_MS, desk.now_ms)
    assert (found.opening_minor, found.closing_minor, len(lines)) == (500, -300, 1)


@pytest.mark.parametrize("seed", range(2))
def test_periods_follow_on_from_each_other_and_lines_add_up(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_queries, "PAGE", 3)
    world.rng = random.Random(seed)
    begin = world.clock()
    for _ in range(40):
        world.step()
    end = world.clock() + 1
    cuts = sorted({begin, end, *(world.rng.randint(begin, end) for _ in range(3))})
    for partner in world.partners:
        closing = 0
        for from_ms, until_ms in pairwise(cuts):
            found, lines = made(world, partner, from_ms, until_ms)
            assert found.opening_minor == closing
            closing = found.closing_minor
            assert closing == found.opening_minor + sum(line.amount_minor for line in lines)
            assert closing == (lines[-1].balance_minor if lines else found.opening_minor)
            assert closing == found.owed_minor + found.in_transit_minor + found.returned_minor
            assert all(from_ms <= line.effective_at_ms < until_ms for line in lines)
        balances = world.balances(partner)
        assert closing == sum(balances.get(kind, 0) for kind in ("owed", "in_transit", "returned"))


@pytest.mark.parametrize("seed", range(2))
def test_what_was_owed_at_a_time_is_the_sum_of_what_counted_before_it(world: World, seed: int) -> None:
    """Whenever it was posted: hours or months later, or a day ahead; with ids of that moment."""
    rng, desk, partners = random.Random(seed), Desk(world.engine), world.partners[:2]
    desk.make_id = IdMaker(lambda: desk.now_ms)
    for number in range(40):
        desk.now_ms += rng.choice([0, 1, 3_600_000, 5 * DAY_MS])
        dated = rng.choice([None, 0, 1, -1, DAY_MS, -3_600_000, -20 * DAY_MS])
        at = {} if dated is None else {"effective_at_ms": desk.now_ms + dated}
        desk.change(rng.choice(partners), rng.randint(-500, 2_000) or 1, f"change-{number}", **at)
    with reading(world.engine) as connection:
        for partner in partners:
            moved = [
                ((row.effective_at_ms, row.id), row.kind, row.amount_minor)
                for row in connection.execute(
                    sa.text(
                        "SELECT t.effective_at_ms, t.id, a.kind, p.amount_minor FROM ledger_transactions t "
                        "JOIN postings p ON p.transaction_id = t.id "
                        "JOIN ledger_accounts a ON a.id = p.ledger_account_id "
                        "WHERE a.partner_id = :partner"
                    ),
                    {"partner": partner.id},
                )
            ]
            places = {place for place, _, _ in moved}
            times = {at_ms + near for at_ms, _ in places for near in (-1, 0, 1)}
            for at_ms in times | {0, desk.now_ms, desk.now_ms + 9 * DAY_MS}:
                found = statement_queries.sums_before(connection, partner.id, at_ms)
                assert found == plain_sums(moved, lambda place, at_ms=at_ms: place[0] < at_ms)
            for through in places:
                found = statement_queries.sums_before(connection, partner.id, 0, through)
                assert found == plain_sums(moved, lambda place, through=through: place <= through)


def test_what_was_paid_in_a_time_is_found_whenever_it_was_posted(world: World) -> None:
    begin = world.clock()
    for number in range(24):
        payout = paid(world, world.partners[number % 2], 1_000 + number)
        if number % 5 == 0:
            tell(world, payout, "failed")
        world.clock.pass_(hours=1)
    t = ledger_transactions.c
    with world.engine.begin() as connection:  # some of it counts days before or after it was posted
        for number, row_id in enumerate(connection.scalars(sa.select(t.id).order_by(t.id)).all()):
            if shift := (0, 0, -2 * DAY_MS, 3_600_000, 2 * DAY_MS)[number % 5]:
                moved = {"effective_at_ms": t.effective_at_ms + shift}
                connection.execute(sa.update(ledger_transactions).where(t.id == row_id).values(moved))
    times = [begin + hours * 3_600_000 for hours in (-60, -40, 0, 5, 11, 12, 24, 30, 70, 90)]
    with reading(world.engine) as connection:
        for partner in world.partners:
            for from_ms, until_ms in combinations(times, 2):
                found = statement_queries.paid_between(connection, partner.id, from_ms, until_ms)
                wanted = plain_paid(connection, partner.id, from_ms, until_ms)
                assert sorted(one.amount_minor for one in found) == wanted
        assert plain_paid(connection, world.partners[0].id, times[0], times[-1])


def plain_paid(connection: Any, partner_id: int, from_ms: int, until_ms: int) -> list[int]:
    found = connection.execute(
        sa.text(
            "SELECT SUM(p.amount_minor) FROM ledger_transactions t "
            "JOIN postings p ON p.transaction_id = t.id "
            "JOIN ledger_accounts a ON a.id = p.ledger_account_id "
            "WHERE a.partner_id = :partner AND a.kind = 'paid' "
            "AND t.effective_at_ms >= :from_ms AND t.effective_at_ms < :until_ms "
            "GROUP BY t.request_id HAVING SUM(p.amount_minor) > 0"
        ),
        {"partner": partner_id, "from_ms": from_ms, "until_ms": until_ms},
    )
    return sorted(int(total) for total in found.scalars())


def plain_sums(moved: Any, counts: Any) -> dict[str, int]:
    sums: dict[str, int] = {}
    for place, kind, amount_minor in moved:
        if counts(place):
            sums[kind] = sums.get(kind, 0) + amount_minor
    return sums


def test_a_statement_that_ends_before_it_begins_is_refused(world: World) -> None:
    with pytest.raises(RefusedError, match="ends after it begins"):
        made(world, world.partners[0], 5, 5)


def test_a_statement_as_csv_has_its_frame_and_exact_amounts(world: World) -> None:
    desk, partner = Desk(world.engine), world.partners[0]
    desk.change(partner, 123_456, "s-1", description="=HYPERLINK(1)")
    with reading(world.engine) as connection:
        found = statement(connection, partner, desk.now_ms, desk.now_ms + 1, desk.now_ms)
        rows = csv_of(STATEMENT_COLUMNS, statement_rows(connection, found))
    assert [row["kind"] for row in rows] == ["opening balance", "credit", "closing balance", "unsettled"]
    assert (rows[1]["amount_minor"], rows[1]["amount"], rows[1]["balance"]) == (
        "123456",
        "1234.56",
        "1234.56",
    )
    assert rows[1]["effective_at"] == "2026-09-21T14:13:20.000Z"
    assert rows[1]["description"] == "'=HYPERLINK(1)"


def test_the_journal_as_csv_has_each_posting_once_and_sums_to_zero(world: World) -> None:
    for _ in range(30):
        world.step()
    with reading(world.engine) as connection:
        rows = csv_of(JOURNAL_COLUMNS, journal_rows(connection, 0, world.clock() + 10**12))
        partner = world.partners[0]
        own = csv_of(JOURNAL_COLUMNS, journal_rows(connection, 0, world.clock() + 10**12, partner.id))
    assert len(rows) == world.value("SELECT COUNT(*) FROM postings") > 0
    assert sum(int(row["amount_minor"]) for row in rows) == 0
    for row in rows:
        assert parse_money(row["amount"], row["currency"]) == int(row["amount_minor"])
    assert own == [row for row in rows if row["partner"] == partner.reference]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1"])
def test_what_a_spreadsheet_would_calculate_is_marked_as_text(text: str) -> None:
    assert plain(text) == f"'{text}"


def test_other_text_stays_as_it_is() -> None:
    assert [plain(text) for text in ("sale-1", "", "a=b", None)] == ["sale-1", "", "a=b", None]
