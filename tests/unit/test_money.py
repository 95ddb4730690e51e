"""Amounts as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts import money
from payouts.errors import RefusedError
from payouts.money import (
    AMOUNT_BELOW_MINOR,
    check_amount,
    check_currency,
    check_payable,
    decimal_text,
    exponent,
    format_money,
    parse_money,
)

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


CURRENCIES = st.sampled_from(["jpy", "eur", "kwd", "isk", "huf"])


@given(amount=st.integers(-(2**62), 2**62), currency=CURRENCIES)
def test_an_amount_written_down_and_read_again_is_the_same(amount: int, currency: str) -> None:
    assert parse_money(decimal_text(amount, currency), currency) == amount


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("120.50", "eur", 12_050),
        ("120.5", "eur", 12_050),
        ("120", "EUR", 12_000),
        ("0.01", "eur", 1),
        ("-7", "jpy", -7),
        ("1.234", "kwd", 1_234),
        ("0.1", "eur", 10),
    ],
)
def test_an_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert parse_money(text, currency) == minor


@pytest.mark.parametrize("text", ["", "1,234.00", "1.", ".5", "1e3", "+1", "٣", " 1", "1 ", "NaN", "1" * 30])
def test_what_could_be_read_in_two_ways_is_no_amount(text: str) -> None:
    with pytest.raises(RefusedError, match="is no amount: write it as"):
        parse_money(text, "eur")


@pytest.mark.parametrize(("text", "currency"), [("1.001", "eur"), ("1.0", "jpy"), ("1.0000", "kwd")])
def test_more_places_than_the_currency_has_are_refused_even_if_they_are_zero(
    text: str, currency: str
) -> None:
    with pytest.raises(RefusedError, match="decimal places"):
        parse_money(text, currency)


@pytest.mark.parametrize(
    ("currency", "paid", "refused"),
    [
        ("eur", [1, 12_345], []),
        ("jpy", [1, 777], []),
        ("isk", [100, 12_300], [1, 150]),
        ("ugx", [100, 12_300], [1, 150]),
        ("huf", [100, 12_300], [1, 150]),
        ("TWD", [100, 12_300], [1, 150]),
        ("kwd", [10, 1_230], [1, 1_234]),
    ],
)
def test_what_stripe_would_not_pay_out_is_refused_before(
    currency: str, paid: list[int], refused: list[int]
) -> None:
    assert [check_payable(amount, currency) for amount in paid] == paid
    for amount in refused:
        with pytest.raises(RefusedError, match="in steps of"):
            check_payable(amount, currency)


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_BELOW_MINOR])
def test_nothing_less_than_nothing_and_too_much_are_no_amounts(amount: int) -> None:
    assert check_amount(AMOUNT_BELOW_MINOR - 1, "eur") == AMOUNT_BELOW_MINOR - 1
    for check in (check_amount, check_payable):
        with pytest.raises(RefusedError) as refused:
            check(amount, "eur")
        assert refused.value.code == "bad_amount"


def test_a_currency_is_one_that_there_is() -> None:
    assert check_currency("EUR") == "eur"
    for code in money.ZERO_DECIMAL | money.THREE_DECIMAL | money.WHOLE_UNITS:
        assert check_currency(code.upper()) == code
    for text in ("", "eu", "euro", "e1r", "€ur", "xxx", "eru", "dollars"):
        with pytest.raises(RefusedError, match="is no currency"):
            check_currency(text)
