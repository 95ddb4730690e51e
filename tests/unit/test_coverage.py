"""Proofs laid over a calendar: which days they prove, and which not."""

from datetime import date, timedelta

import pytest

from payouts.coverage import DAY_S, DayState, days, start_s
from payouts.proof import Proof

ON = date(2026, 11, 10)
NOW_S = start_s(date(2026, 11, 20)) + 3_600


def proof(number: int, since_h: int = 0, until_h: int = 24, missing: int = 0, healed: int = 0) -> Proof:
    since_s = start_s(ON) + since_h * 3_600
    until_s = start_s(ON) + until_h * 3_600 - 1
    counts = (5, 5, 0, 0, 0, 0, missing, healed, 0)
    return Proof(number, "acct_1", number, since_s, until_s, NOW_S * 1000, "anna", 1, *counts, "{}", "")


@pytest.mark.parametrize(
    ("proofs", "state"),
    [
        ([], DayState.NOT_PROVEN),
        ([proof(1)], DayState.PROVEN),
        ([proof(1, 0, 12), proof(2, 12, 24)], DayState.PROVEN),
        ([proof(1, -24, 48)], DayState.PROVEN),
        ([proof(1, 0, 23)], DayState.PARTLY),
        ([proof(1, 0, 11), proof(2, 12, 24)], DayState.PARTLY),
        ([proof(1, missing=3, healed=3)], DayState.FOUND),
        ([proof(1, missing=3, healed=3), proof(2)], DayState.FOUND),
        ([proof(1, missing=3, healed=2)], DayState.INCOMPLETE),
        ([proof(1), proof(2, missing=1)], DayState.INCOMPLETE),
        ([proof(1, missing=1), proof(2)], DayState.PROVEN),
        ([proof(1, missing=1), proof(2, 0, 12)], DayState.INCOMPLETE),
    ],
)
def test_a_day_is_what_its_proofs_say_together(proofs: list[Proof], state: DayState) -> None:
    (day,) = days(proofs, ON, ON + timedelta(days=1), NOW_S)
    assert day.state == state
    assert (day.proof is None) == (not proofs)


@pytest.mark.parametrize(
    ("back", "state"),
    [(0, "going_on"), (-1, "ahead"), (1, "not_proven"), (30, "not_proven"), (31, "too_old")],
)
def test_a_day_without_proofs_is_judged_by_what_stripe_still_lists(back: int, state: str) -> None:
    on = date(2026, 11, 20) - timedelta(days=back)
    (day,) = days([], on, on + timedelta(days=1), NOW_S)
    assert day.state == state
    assert start_s(on + timedelta(days=1)) - start_s(on) == DAY_S
