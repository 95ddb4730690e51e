"""Amounts as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.money import exponent, format_money

ZERO_DECIMAL = [
    "bif",
    "clp",
    "djf",
    "gnf",
    "jpy",
    "kmf",
    "krw",
    "mga",
    "pyg",
    "rwf",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
]
THREE_DECIMAL = ["bhd", "jod", "kwd", "omr", "tnd"]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (123_456, "eur", "1,234.56 EUR"),
        (0, "usd", "0.00 USD"),
        (5, "usd", "0.05 USD"),
        (-5, "usd", "-0.05 USD"),
        (-123_456, "EUR", "-1,234.56 EUR"),
        (1_234_567, "jpy", "1,234,567 JPY"),
        (-1, "jpy", "-1 JPY"),
        (1_234_560, "kwd", "1,234.560 KWD"),
        (-10, "tnd", "-0.010 TND"),
        (500, "isk", "5.00 ISK"),
        (500, "ugx", "5.00 UGX"),
        (10**17 + 1, "usd", "1,000,000,000,000,000.01 USD"),
    ],
)
def test_an_amount_reads_with_the_places_of_its_currency(amount: int, currency: str, expected: str) -> None:
    assert format_money(amount, currency) == expected


def test_every_currency_has_the_places_that_stripe_gives_it() -> None:
    assert {exponent(code) for code in ZERO_DECIMAL} == {0}
    assert {exponent(code) for code in THREE_DECIMAL} == {3}
    assert {exponent(code) for code in ("eur", "USD", "huf", "twd", "isk", "ugx", "xyz")} == {2}


@given(amount=st.integers(-(2**62), 2**62), currency=st.sampled_from(["jpy", "eur", "kwd"]))
def test_no_amount_loses_a_digit(amount: int, currency: str) -> None:
    text = format_money(amount, currency)
    assert int(text.split(" ")[0].replace(",", "").replace(".", "")) == amount
