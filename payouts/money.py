"""Money: whole numbers of minor units, with a currency. No floats, no conversion."""

import re

from payouts.currencies import CURRENCIES
from payouts.errors import RefusedError

ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
"""Currencies whose minor unit is the unit itself, as Stripe treats them (its page on currencies)."""
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
WHOLE_UNITS = frozenset(["huf", "isk", "twd", "ugx"])
"""Currencies with two decimals, of which only whole units are paid out."""
AMOUNT_BELOW_MINOR = 10**15
"""No single amount reaches this: sums of them stay far inside the 63 bits of a column."""


def exponent(currency: str) -> int:
    """How many decimal places Stripe's amounts in `currency` (ISO code, any case) stand for."""
    code = currency.lower()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def format_money(amount_minor: int, currency: str) -> str:
    """`(123456, "eur")` as `1,234.56 EUR`."""
    places = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**places)
    digits = f"{whole:,}" if places == 0 else f"{whole:,}.{fraction:0{places}d}"
    return f"{sign}{digits} {currency.upper()}"


def decimal_text(amount_minor: int, currency: str) -> str:
    """`(123456, "eur")` as `1234.56`: what `parse_money` reads, for files and command lines."""
    places = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**places)
    return f"{sign}{whole}" if places == 0 else f"{sign}{whole}.{fraction:0{places}d}"


def parse_money(text: str, currency: str) -> int:
    """`("120.50", "eur")` as 12050 minor units, exactly. RefusedError `bad_amount` for anything else.

    No thousands separators: `1,234` means two different amounts to people of two countries.
    """
    places = exponent(currency)
    found = _DECIMAL.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        raise _refused(f"{text[:40]!r} is no amount: write it as {decimal_text(123450, currency)}")
    sign, whole, fraction = found["sign"], found["whole"], found["fraction"] or ""
    if len(fraction) > places:
        what = f"{places} decimal places" if places else "no decimal places"
        raise _refused(f"{text} has {len(fraction)} decimal places, {currency.upper()} has {what}")
    amount_minor = int(whole + fraction.ljust(places, "0"))
    return -amount_minor if sign else amount_minor


def check_currency(text: str) -> str:
    """A currency's code in lower case. RefusedError `bad_currency` where there is no such currency."""
    code = text.lower()
    if code not in CURRENCIES:
        raise RefusedError(
            "bad_currency", f"{text[:10]!r} is no currency: use a code of three letters, as eur"
        )
    return code


def check_amount(amount_minor: int, currency: str) -> int:
    """An amount that can be credited or paid. RefusedError `bad_amount` where it is none, or too much."""
    if amount_minor <= 0:
        raise _refused(f"{format_money(amount_minor, currency)} is not more than nothing")
    if amount_minor >= AMOUNT_BELOW_MINOR:
        most = format_money(AMOUNT_BELOW_MINOR, currency)
        raise _refused(f"{format_money(amount_minor, currency)} is too much: less than {most} is possible")
    return amount_minor


def payable_step(currency: str) -> int:
    """What an amount paid out must be a multiple of, in minor units (Stripe's page on currencies).

    ISK and UGX have two decimals that must be 00, HUF and TWD are paid out in whole units, and amounts
    with three decimals end in 0.
    """
    code = currency.lower()
    if code in WHOLE_UNITS:
        return 100
    return 10 if code in THREE_DECIMAL else 1


def check_payable(amount_minor: int, currency: str) -> int:
    """An amount that Stripe pays out in this currency. RefusedError `bad_amount` where it would not."""
    check_amount(amount_minor, currency)
    step = payable_step(currency)
    if amount_minor % step:
        raise _refused(
            f"{format_money(amount_minor, currency)} cannot be paid out: "
            f"Stripe pays {currency.upper()} in steps of {decimal_text(step, currency)}"
        )
    return amount_minor


def _refused(message: str) -> RefusedError:
    return RefusedError("bad_amount", message)


_DECIMAL = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?")
_LONGEST = 24
