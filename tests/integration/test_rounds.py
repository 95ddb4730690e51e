"""Rounds: all accounts have their turn, Stripe is asked no more than is allowed, and nothing stands still."""

import dataclasses
from collections.abc import Iterator

import pytest

from payouts.errors import GatewayError
from payouts.gateway import NoGateway
from payouts.reconciling import Reconciler
from payouts.rounds import STALE_MS, Rounds
from payouts.storage.columns import PLATFORM
from tests.support.reconciling import Bench

HOUR_MS = 3_600_000


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    made = Bench(database_url)
    for number in (1, 2, 3):
        made.partner(number)
    yield made
    made.engine.dispose()


@pytest.fixture
def rounds(bench: Bench) -> Rounds:
    return Rounds(bench.engine, bench.make_id, bench.clock, HOUR_MS, reads_most=100)


def run(bench: Bench, rounds: Rounds) -> list[str]:
    """What one round compares, step by step."""
    steps = []
    account = rounds.due()
    while account is not None:
        steps.append(account)
        account = rounds.step(account, bench.reconciler)
    return steps


def test_a_round_compares_the_platform_and_every_partner_and_begins_again_in_its_time(
    bench: Bench, rounds: Rounds
) -> None:
    everybody = [PLATFORM, "acct_1", "acct_2", "acct_3"]
    assert run(bench, rounds) == everybody
    bench.pass_(minutes=59)
    assert run(bench, rounds) == []
    bench.pass_(minutes=1)
    assert run(bench, rounds) == everybody


def test_a_round_that_asked_enough_stops_and_the_next_goes_on_after_it(bench: Bench, rounds: Rounds) -> None:
    rounds = dataclasses.replace(rounds, reads_most=4)  # the platform's two lists, and a list each

    assert run(bench, rounds) == [PLATFORM, "acct_1", "acct_2"]
    assert len(bench.stripe.reads) == 4
    bench.pass_(hours=1)
    assert run(bench, rounds) == [PLATFORM, "acct_3"]
    bench.pass_(hours=1)
    assert run(bench, rounds) == [PLATFORM, "acct_1", "acct_2"]


def test_an_account_that_is_cut_short_is_the_first_partner_of_the_next_round(
    bench: Bench, rounds: Rounds
) -> None:
    for _ in range(5):
        bench.sent()
    bench.stripe.page_size = 1
    lost = bench.stripe.payouts.pop("po_3")
    rounds = dataclasses.replace(rounds, reads_most=6)
    for _ in range(12):
        before = len(bench.stripe.reads)
        run(bench, rounds)
        assert len(bench.stripe.reads) - before <= 6
        bench.pass_(hours=1)

    assert ("missing_at_stripe", lost["id"]) in bench.open()
    assert bench.value("SELECT COUNT(*) FROM reconcile_progress WHERE ended_at_ms IS NOT NULL") == 4


def test_a_lost_message_is_sent_again_once_the_round_stands_still(bench: Bench, rounds: Rounds) -> None:
    assert rounds.due() == PLATFORM
    assert rounds.due() is None
    bench.clock.now_ms += STALE_MS
    assert rounds.due() == PLATFORM
    assert rounds.step(PLATFORM, bench.reconciler) == "acct_1"
    bench.clock.now_ms += STALE_MS
    assert rounds.due() == "acct_1"


def test_a_message_that_comes_twice_or_late_compares_nothing_twice(bench: Bench, rounds: Rounds) -> None:
    rounds.due()
    assert rounds.step(PLATFORM, bench.reconciler) == "acct_1"
    asked = list(bench.stripe.reads)
    assert rounds.step(PLATFORM, bench.reconciler) is None
    assert bench.stripe.reads == asked


def test_one_account_without_an_answer_does_not_keep_the_others_from_their_turn(
    bench: Bench, rounds: Rounds
) -> None:
    bench.stripe.broken["acct_1"] = GatewayError("time-out", transient=True)
    assert run(bench, rounds) == [PLATFORM, "acct_1"]
    bench.clock.now_ms += STALE_MS
    assert run(bench, rounds) == ["acct_2", "acct_3"]


def test_without_a_key_only_our_own_books_are_looked_through(bench: Bench, rounds: Rounds) -> None:
    bench.stripe.faults = ["lost before"]
    bench.sent()
    bench.pass_(hours=23)
    account = rounds.due()
    assert account == PLATFORM
    keyless = Reconciler(bench.engine, NoGateway(), bench.make_id, bench.clock)

    assert rounds.step(account, keyless) is None

    assert [kind for kind, _ in bench.open()] == ["attempt_open"]
    assert bench.value("SELECT COUNT(*) FROM reconcile_rounds WHERE ended_at_ms IS NULL") == 0
