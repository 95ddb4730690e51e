"""Which amounts Stripe pays out in a currency, whatever is owed. Pure."""

from payouts.errors import RefusedError
from payouts.money import THREE_DECIMAL, format_money

BELOW_MINOR = 10**15
"""No payout is as large as this: beyond it an amount is a mistake."""
_IN_HUNDREDS = frozenset({"isk", "ugx", "huf", "twd"})
"""ISK and UGX have two decimals that must be 00; payouts in HUF and TWD must be divisible by 100 (Stripe's
page on currencies)."""


def step_of(currency: str) -> int:
    """What a payout in `currency` must be a multiple of, in minor units."""
    if currency in _IN_HUNDREDS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def payable_part(owed_minor: int, currency: str) -> int:
    """The most of what is owed that can be paid out; the rest stays owed. 0 where nothing can."""
    step = step_of(currency)
    return max(0, min(owed_minor, BELOW_MINOR - step) // step * step)


def check_payable(amount_minor: int, currency: str) -> None:
    """Raise RefusedError (`bad_amount`) where Stripe would not pay out this amount."""
    shown = format_money(amount_minor, currency)
    if amount_minor <= 0:
        raise RefusedError("bad_amount", f"{shown} cannot be paid out: a payout is over more than nothing")
    if amount_minor >= BELOW_MINOR:
        raise RefusedError("bad_amount", f"{shown} cannot be paid out: that must be a mistake")
    step = step_of(currency)
    if amount_minor % step:
        near = format_money(payable_part(amount_minor, currency), currency)
        raise RefusedError(
            "bad_amount",
            f"{shown} cannot be paid out: Stripe takes {currency.upper()} only in steps of "
            f"{format_money(step, currency)}, as {near}",
        )
