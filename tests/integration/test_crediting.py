"""Credits and debits count once, in the partner's currency, and never in a closed month."""

import threading
from collections.abc import Iterator

import pytest

from payouts.clock import Clock
from payouts.closing import AFTER_MS, close_month
from payouts.crediting import Change, fund
from payouts.errors import ReferenceTakenError, RefusedError
from payouts.ledger import LedgerKind
from payouts.money import AMOUNT_BELOW_MINOR
from payouts.people import Actor
from payouts.period import Month, month_of, parse_month
from payouts.storage import closing_rows
from payouts.storage.engine import build_engine
from payouts.storage.ledger_rows import platform_balance
from tests.support.databases import bring_up_to_date
from tests.support.partners import NOW_MS, OPERATOR, Desk

AUGUST, JULY = Month(2026, 8), Month(2026, 7)
DAY_MS = 86_400_000


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    engine = build_engine(database_url, timeout_s=10, pool_size=10)
    bring_up_to_date(engine)
    yield Desk(engine)
    engine.dispose()


def close(desk: Desk, month: Month, clock: Clock = lambda: NOW_MS) -> closing_rows.Close:
    return close_month(desk.engine, str(month), OPERATOR, desk.make_id, clock)


def test_a_credit_is_owed_and_a_debit_may_take_more_than_is_there(desk: Desk) -> None:
    partner = desk.partner()
    desk.change(partner, 5_000, "sale-1")
    desk.change(partner, -7_000, "refund-1")
    assert desk.owed(partner) == -2_000


def test_the_same_reference_with_the_same_content_counts_once_and_gives_the_earlier_one(desk: Desk) -> None:
    partner = desk.partner()
    first = desk.change(partner, 5_000, "sale-1", description="a sale")
    desk.now_ms += 1_000
    again = desk.change(partner, 5_000, " sale-1 ", description="a  sale")
    assert first.is_new
    assert not again.is_new
    assert again.transaction == first.transaction
    assert desk.owed(partner) == 5_000
    assert desk.value("SELECT COUNT(*) FROM audit WHERE action = 'partner.credit'") == 1


@pytest.mark.parametrize(
    "other",
    [
        {"amount_minor": 5_001},
        {"description": "another sale"},
        {"effective_at_ms": NOW_MS - DAY_MS},
    ],
)
def test_the_same_reference_with_other_content_is_refused(desk: Desk, other: dict[str, object]) -> None:
    partner = desk.partner()
    desk.change(partner, 5_000, "sale-1")
    with pytest.raises(ReferenceTakenError):
        desk.change(partner, **{"amount_minor": 5_000, "reference": "sale-1", **other})
    assert desk.owed(partner) == 5_000


def test_two_partners_may_use_the_same_reference(desk: Desk) -> None:
    one, two = desk.partner(1), desk.partner(2)
    assert desk.change(one, 1, "sale-1").is_new
    assert desk.change(two, 2, "sale-1").is_new


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "usd"}, "wrong_currency"),
        ({"currency": "euro"}, "bad_currency"),
        ({"amount_minor": 0}, "bad_amount"),
        ({"amount_minor": AMOUNT_BELOW_MINOR}, "bad_amount"),
        ({"amount_minor": -AMOUNT_BELOW_MINOR}, "bad_amount"),
        ({"reference": ""}, "bad_reference"),
        ({"reference": "x" * 101}, "bad_reference"),
        ({"reference": "a\nb"}, "bad_reference"),
        ({"description": "x" * 256}, "bad_description"),
        ({"effective_at_ms": NOW_MS + 2 * DAY_MS}, "bad_date"),
        ({"effective_at_ms": -1}, "bad_date"),
    ],
)
def test_what_cannot_be_credited_is_refused_and_posts_nothing(
    desk: Desk, change: dict[str, object], code: str
) -> None:
    partner = desk.partner()
    with pytest.raises(RefusedError) as refused:
        desk.change(partner, **{"amount_minor": 100, "reference": "sale-1", **change})
    assert refused.value.code == code
    assert desk.value("SELECT COUNT(*) FROM ledger_transactions") == 0


def test_many_who_post_the_same_credit_at_once_post_it_once(desk: Desk) -> None:
    partner = desk.partner()
    new: list[bool] = []
    threads = [
        threading.Thread(target=lambda: new.append(desk.change(partner, 700, "sale-1").is_new))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False] * 9 + [True]
    assert desk.owed(partner) == 700


def test_nobody_credits_without_being_allowed_to(desk: Desk) -> None:
    partner = desk.partner()
    viewer = Actor("viewer", 2, 2, frozenset({"read"}))
    with pytest.raises(RefusedError, match="viewer may not do this"):
        desk.do(lambda c: fund(c, Change(1, "eur", "x"), viewer, desk.make_id, NOW_MS))
    assert desk.owed(partner) == 0


def test_filling_up_the_platforms_balance_is_noted_once_and_can_be_drawn_from(desk: Desk) -> None:
    for amount, reference in ((9_000, "wire-1"), (9_000, "wire-1"), (-2_000, "wire-2")):
        change = Change(amount, "EUR", reference)
        desk.do(lambda c, change=change: fund(c, change, OPERATOR, desk.make_id, NOW_MS))
    with desk.engine.connect() as connection:
        assert platform_balance(connection, LedgerKind.STRIPE_BALANCE, "eur") == 7_000
        assert platform_balance(connection, LedgerKind.FUNDING, "eur") == -7_000


# Months


def test_a_months_name_is_read_as_it_is_written() -> None:
    assert str(parse_month("2026-12").next) == "2027-01"
    assert month_of(AUGUST.from_ms) == month_of(AUGUST.until_ms - 1) == AUGUST
    for text in ("2026-13", "2026-1", "26-01", "2026-00", "2026-01-01", "٢٠٢٦-٠١"):
        with pytest.raises(RefusedError, match="write it as 2026-11"):
            parse_month(text)


def test_a_closed_month_keeps_its_sums_and_takes_nothing_more(desk: Desk) -> None:
    partner = desk.partner()
    desk.change(partner, 5_000, "july", effective_at_ms=JULY.from_ms)
    desk.change(partner, 300, "august", effective_at_ms=AUGUST.until_ms - 1)
    desk.change(partner, 20, "september")

    closed = close(desk, AUGUST)

    assert closed.sums == {"eur": {"credits": -5_300, "owed": 5_300}}, "the first one closes all before it"
    assert (closed.transactions, closed.previous) == (2, closing_rows.START)
    assert closed.digest == closed.seal()
    for at_ms in (AUGUST.until_ms - 1, JULY.from_ms):
        with pytest.raises(RefusedError) as refused:
            desk.change(partner, 1, "late", effective_at_ms=at_ms)
        assert refused.value.code == "period_closed"
        assert "closed up to 2026-08" in str(refused.value)
    assert desk.change(partner, 1, "in time", effective_at_ms=AUGUST.until_ms).is_new
    assert desk.change(partner, 1, "now").is_new


def test_what_was_posted_before_its_month_was_closed_is_still_the_answer_to_a_repetition(desk: Desk) -> None:
    partner = desk.partner()
    desk.change(partner, 300, "august", effective_at_ms=AUGUST.from_ms)
    close(desk, AUGUST)
    assert not desk.change(partner, 300, "august", effective_at_ms=AUGUST.from_ms).is_new


def test_closing_a_month_again_changes_nothing(desk: Desk) -> None:
    partner = desk.partner()
    desk.change(partner, 300, "august", effective_at_ms=AUGUST.from_ms)
    first = close(desk, AUGUST)
    assert close(desk, AUGUST, lambda: NOW_MS + 5) == first
    assert desk.value("SELECT COUNT(*) FROM audit WHERE action LIKE 'ledger.close%'") == 2


def test_months_are_closed_one_after_the_other_and_chained(desk: Desk) -> None:
    first = close(desk, JULY)
    with pytest.raises(RefusedError, match="the next month to close is 2026-08"):
        close_month(desk.engine, "2026-10", OPERATOR, desk.make_id, lambda: NOW_MS + 90 * DAY_MS)
    assert close(desk, AUGUST).previous == first.digest


def test_a_month_is_not_closed_before_an_hour_after_its_end(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="not before"):
        close(desk, AUGUST, lambda: AUGUST.until_ms + AFTER_MS - 1)
    assert close(desk, AUGUST, lambda: AUGUST.until_ms + AFTER_MS).period == "2026-08"


def test_a_close_that_was_broken_off_before_it_was_counted_is_finished_by_the_next(desk: Desk) -> None:
    partner = desk.partner()
    desk.change(partner, 300, "august", effective_at_ms=AUGUST.from_ms)
    with desk.engine.begin() as connection:
        closing_rows.closed_until_ms(connection, desk.make_id, NOW_MS, closing=True)
        closing_rows.insert_close(connection, desk.make_id(), "2026-08", 0, AUGUST.until_ms, "x", NOW_MS)
    with pytest.raises(RefusedError, match="closed up to 2026-08"):
        desk.change(partner, 1, "late", effective_at_ms=AUGUST.from_ms)
    with pytest.raises(RefusedError, match="not counted yet"):
        close_month(desk.engine, "2026-09", OPERATOR, desk.make_id, lambda: NOW_MS + 30 * DAY_MS)
    assert close(desk, AUGUST).sums == {"eur": {"credits": -300, "owed": 300}}


def test_nothing_slips_into_a_month_while_it_is_closed(desk: Desk) -> None:
    partner = desk.partner()
    posted: list[int] = []

    def post_into_august(thread: int) -> None:
        for number in range(20):
            try:
                desk.change(partner, 1, f"{thread}-{number}", effective_at_ms=AUGUST.from_ms + number)
            except RefusedError:
                return
            posted.append(1)

    threads = [threading.Thread(target=post_into_august, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while len(posted) < 10 and any(thread.is_alive() for thread in threads):
        pass
    closed = close(desk, AUGUST)
    for thread in threads:
        thread.join()
    assert closed.transactions == len(posted) == desk.owed(partner)
