"""What the history of a payout says of holds."""

import pytest

from payouts.history_texts import hold_text
from payouts.holds import Hold, HoldKind, HoldScope

TOLD = {
    HoldScope.ALL: "manual on everything",
    HoldScope.CURRENCY: "manual on all in EUR",
    HoldScope.PARTNER: "manual on the partner",
    HoldScope.ACCOUNT: "manual on the partner's account",
    HoldScope.REQUEST: "manual on this payout",
}


@pytest.mark.parametrize("scope", HoldScope)
def test_a_hold_is_told_by_what_it_covers(scope: HoldScope) -> None:
    hold = Hold(1, "acct_1", HoldKind.MANUAL, scope, "eur", "unclear", "anna", 0, active=True)

    assert hold_text(hold) == TOLD[scope]
