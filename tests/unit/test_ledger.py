"""Postings by cause: each transaction sums to zero, and the way a payout takes does not change its end."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.ledger import Entry, LedgerKind, Movement, steps_of_payout
from payouts.states import RANK, PayoutStatus

AMOUNT = 500
ways = st.lists(st.sampled_from(PayoutStatus), min_size=1, max_size=5, unique=True).map(
    lambda states: [None, *sorted(states, key=lambda state: RANK[state])]
)


def moved(old: PayoutStatus | None, new: PayoutStatus, amount: int) -> Counter[LedgerKind]:
    total: Counter[LedgerKind] = Counter()
    for step in steps_of_payout(old, new, amount):
        entry = Entry("k", step.name, "acct_1", 1, "eur", step.movements, 0)
        assert sum(entry.sums().values()) == 0
        total.update(entry.sums())
    return total


def by_way(way: list[PayoutStatus | None], amount: int) -> dict[LedgerKind, int]:
    total: Counter[LedgerKind] = Counter()
    for old, new in pairwise(way):
        assert new is not None
        total.update(moved(old, new, amount))
    return {kind: held for kind, held in total.items() if held}


@given(ways)
def test_a_payout_ends_in_the_same_pots_whatever_states_were_skipped(way: list[PayoutStatus | None]) -> None:
    assert by_way(way, AMOUNT) == by_way([None, way[-1]], AMOUNT)


@pytest.mark.parametrize(
    ("end", "pots"),
    [
        ("pending", {"at_stripe": -500, "at_bank": 500}),
        ("in_transit", {"at_stripe": -500, "at_bank": 500}),
        ("paid", {"at_stripe": -500, "at_bank": 500, "in_transit": -500, "paid": 500}),
        ("reversed", {"at_stripe": -500, "at_bank": 500, "in_transit": -500, "paid": 500}),
        ("failed", {"in_transit": -500, "returned": 500}),
        ("canceled", {"in_transit": -500, "returned": 500}),
    ],
)
def test_where_the_money_is_in_each_state(end: str, pots: dict[str, int]) -> None:
    assert by_way([None, PayoutStatus(end)], AMOUNT) == pots


def test_a_reversal_brings_the_money_back_and_takes_it_out_again_if_it_fails_later() -> None:
    paid = moved(None, PayoutStatus.PAID, -AMOUNT)
    assert paid == {"paid": -500, "returned": 500, "at_bank": -500, "at_stripe": 500}
    failed = moved(PayoutStatus.PAID, PayoutStatus.FAILED, -AMOUNT)
    assert failed == {kind: -held for kind, held in paid.items()}
    assert steps_of_payout(PayoutStatus.PENDING, PayoutStatus.FAILED, -AMOUNT) == []


@pytest.mark.parametrize("amount", [0, -1])
def test_a_movement_over_nothing_or_less_is_refused(amount: int) -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        Movement(LedgerKind.OWED, LedgerKind.PAID, amount)
