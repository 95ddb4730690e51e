"""The invariants hold whatever happens, and each finds what it is for."""

import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.checking import SHOWN_MOST, check
from payouts.closing import close_month
from payouts.errors import NotFoundError
from payouts.period import Month
from payouts.storage.engine import build_engine
from payouts.storage.invariants import all_invariants
from tests.support.books import World, violations
from tests.support.databases import bring_up_to_date
from tests.support.lives import payout_object
from tests.support.partners import OPERATOR, Desk

STEPS = 45


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = build_engine(database_url, timeout_s=10, pool_size=5)
    bring_up_to_date(made)
    yield made
    made.dispose()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_in_whatever_order_all_of_them_hold(engine: Engine, seed: int) -> None:
    world = World(engine, random.Random(seed))
    for step in range(STEPS):
        world.step()
        if step % 6 == 5:
            assert violations(engine) == {}, f"seed {seed}, step {step}"


@pytest.fixture
def paid(engine: Engine) -> World:
    """A request that was paid, one that is queued, and a closed month with a credit."""
    world = World(engine, random.Random(1))
    first = world.request(world.partners[0], 1_000)
    world.sender.send(first)
    made = next(iter(world.stripe.payouts.values()))
    world.tell(payout_object(made["id"], "paid", made["amount"], metadata=made["metadata"]), made)
    world.request(world.partners[1], 2_000)
    desk, month = Desk(engine), Month(2026, 7)
    desk.change(world.partners[2], 500, "july", effective_at_ms=month.from_ms)
    close_month(engine, str(month), OPERATOR, desk.make_id, world.clock)
    assert world.status(first) == "paid"
    assert violations(engine) == {}
    return world


LEG = "INSERT INTO legs (id, account, request_id, kind, status, amount_minor, currency, reversed_minor, \
created_at_ms, updated_at_ms) SELECT id + 1, account, request_id, kind, 'open', 1, currency, 0, 0, 0 \
FROM legs WHERE kind = '{kind}'"
ATTEMPT = "INSERT INTO leg_attempts (id, account, request_id, leg_id, number, idempotency_key, `call`, body, \
status, sends, first_sent_at_ms, last_sent_at_ms, worker) SELECT id + 1, account, request_id, leg_id, 9, \
concat('x', id), `call`, body, 'open', 1, 0, 0, 'x' FROM leg_attempts"


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE postings SET amount_minor = amount_minor + 1", "transactions_sum_to_zero"),
        ("DELETE FROM postings", "transactions_sum_to_zero"),
        ("DELETE FROM ledger_transactions", "postings_have_owners"),
        ("UPDATE ledger_accounts SET balance_minor = 7 WHERE kind = 'owed'", "balances_are_sums"),
        ("UPDATE ledger_accounts SET balance_minor = 7 WHERE kind = 'credits'", "platform_keeps_no_balance"),
        ("UPDATE ledger_accounts SET partner_id = 0 WHERE kind = 'owed' AND account = 'acct_1'",
         "platform_keeps_no_balance"),
        ("UPDATE partners SET currency = 'usd'", "partners_have_one_currency"),
        ("UPDATE ledger_accounts SET balance_minor = -1 WHERE kind = 'at_stripe'", "nothing_is_negative"),
        ("UPDATE payout_requests SET status = 'canceled' WHERE status = 'queued'",
         "requests_have_their_claim"),
        ("UPDATE payout_requests SET status = 'sent' WHERE status = 'paid'", "requests_have_their_claim"),
        ("UPDATE payout_requests SET amount_minor = 1", "claims_are_requested"),
        ("DELETE FROM payout_requests", "claims_are_requested"),
        ("UPDATE payout_requests SET status = 'reversed' WHERE status = 'paid'", "ended_requests_gave_back"),
        ("UPDATE ledger_transactions SET reference = 'x' WHERE kind = 'request' AND account = 'acct_1'",
         "ended_requests_gave_back"),
        ("UPDATE payouts SET status = 'failed'", "payouts_are_posted"),
        ("UPDATE ledger_transactions SET payout_id = NULL", "payouts_are_posted"),
        (LEG.format(kind="transfer"), "one_transfer"),
        (LEG.format(kind="payout"), "one_live_payout"),
        (ATTEMPT, "one_open_attempt"),
        ("UPDATE ledger_closes SET transactions = 9 WHERE period = '2026-07'", "closed_months_stay"),
        ("UPDATE ledger_transactions SET effective_at_ms = 1785000000000", "closed_months_stay"),
    ],
)  # fmt: skip
def test_what_was_changed_by_hand_is_found(paid: World, tampering: str, found: str) -> None:
    if paid.engine.dialect.name == "sqlite":
        tampering = tampering.replace("concat('x', id)", "'x' || id")
    with paid.engine.begin() as connection:
        if found == "one_open_attempt":
            connection.execute(sa.text("UPDATE leg_attempts SET status = 'open'"))
        connection.execute(sa.text(tampering))

    assert found in violations(paid.engine)


def test_every_invariant_says_what_it_promises_and_what_to_do() -> None:
    known = all_invariants()
    assert len(known) >= 13
    for name, invariant in known.items():
        assert invariant.promise, name
        assert invariant.remedy, name


def test_only_those_asked_for_are_checked_and_a_wrong_name_is_refused(engine: Engine) -> None:
    assert [finding.name for finding in check(engine, ["one_transfer"])] == ["one_transfer"]
    with pytest.raises(NotFoundError, match="there is no invariant nonsense"):
        check(engine, ["nonsense"])


def test_of_very_many_violations_the_first_are_shown(engine: Engine) -> None:
    desk = Desk(engine)
    partner = desk.partner()
    for number in range(SHOWN_MOST + 1):
        desk.change(partner, 5, str(number))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE postings SET amount_minor = 6 WHERE amount_minor = 5"))
    (finding,) = check(engine, ["transactions_sum_to_zero"])
    assert len(finding.violations) == SHOWN_MOST
    assert finding.more
