"""Where a payout's move takes its request."""

import pytest

from payouts.books import follow
from payouts.states import PayoutStatus as P
from payouts.states import RequestStatus as R


@pytest.mark.parametrize(
    ("now", "old", "new", "then"),
    [
        (R.SENDING, None, P.PENDING, R.SENT),
        (R.UNCLEAR, None, P.IN_TRANSIT, R.SENT),
        (R.SENT, P.PENDING, P.IN_TRANSIT, None),
        (R.SENT, P.IN_TRANSIT, P.PAID, R.PAID),
        (R.SENDING, None, P.REVERSED, R.PAID),
        (R.PAID, P.PAID, P.FAILED, R.RETURNED),
        (R.SENT, P.PENDING, P.CANCELED, R.RETURNED),
        (R.REVERSED, P.FAILED, P.CANCELED, None),
        (R.SENDING, P.FAILED, P.CANCELED, None),
        (R.REVERSED, P.PENDING, P.PAID, None),
    ],
)
def test_a_payout_takes_its_request_along(now: R, old: P | None, new: P, then: R | None) -> None:
    assert follow(now, old, new, 100) == then


@pytest.mark.parametrize("now", [now for now in R if now != R.PAID])
def test_a_reversal_takes_its_request_from_paid_to_returned_and_from_nowhere_else(now: R) -> None:
    assert follow(R.PAID, P.PENDING, P.PAID, -100) == R.RETURNED
    assert follow(now, P.PENDING, P.PAID, -100) is None
    assert follow(R.RETURNED, P.PENDING, P.PAID, 100) is None


def test_a_reversal_that_fails_later_gives_its_request_back_to_paid() -> None:
    assert follow(R.RETURNED, P.PAID, P.FAILED, -100) == R.PAID
    assert follow(R.REVERSED, P.PAID, P.FAILED, -100) is None
    assert follow(R.PAID, P.PENDING, P.FAILED, -100) is None
