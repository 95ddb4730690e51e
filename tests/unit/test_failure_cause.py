"""Failures of one cause have one fingerprint; those of different causes have different ones."""

import pytest

from payouts.errors import RefusedError
from payouts.failure_cause import KEY_CHARS, NOWHERE, Fingerprint, fingerprint_of, normalised
from payouts.money import check_amount


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def of(text: str, kind: type[Exception] = ValueError) -> Fingerprint:
    return fingerprint_of(raised(kind(text)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("payout po_1Abc belongs to acct_1", "payout po_2Xyz belongs to acct_77"),
        ("the payout is over 1200 eur", "the payout is over 99 eur"),
        ("unknown status 'foo'", "unknown status 'bar and baz'"),
        ("the bank's trace id 'a1b2' is wrong", "the bank's trace id 'c 3' is wrong"),
        ("row 0x7f3a at 12:30:01", "row 0x8800 at 23:59:59"),
        ("too  long\nby 3", "too long by 4"),
        ("no 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "no 00000000-4f89-11d3-9a0c-0305e82c3301"),
    ],
)
def test_what_differs_from_event_to_event_makes_no_other_fingerprint(one: str, other: str) -> None:
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of("no such payout"), of("no such transfer")),
        (of("no such payout"), of("no such payout", KeyError)),
    ],
)
def test_another_text_or_class_is_another_cause(one: Fingerprint, other: Fingerprint) -> None:
    assert one.key != other.key


def test_the_same_text_from_another_place_is_another_cause() -> None:
    with pytest.raises(RefusedError) as one:
        check_amount(-1, "eur")
    with pytest.raises(TypeError) as other:
        normalised(None)  # type: ignore[arg-type]  # to fail in another module
    assert fingerprint_of(one.value).place == "payouts.money:check_amount"
    assert fingerprint_of(other.value).place == "payouts.failure_cause:normalised"


def test_the_place_is_our_own_code_even_where_a_library_raised() -> None:
    with pytest.raises(TypeError) as caught:
        normalised(3)  # type: ignore[arg-type]  # the standard library's re raises
    assert fingerprint_of(caught.value).place == "payouts.failure_cause:normalised"


def test_an_error_without_a_traceback_has_a_fingerprint() -> None:
    found = fingerprint_of(ValueError("never raised"))
    assert (found.place, len(found.key)) == (NOWHERE, KEY_CHARS)


def test_text_that_is_no_utf8_and_very_long_text_are_taken() -> None:
    found = of("half a character \udc80 " + "x" * 10_000)
    assert len(found.message) <= 500
