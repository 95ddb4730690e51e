"""The parts that decide by themselves: forms, time, timers, names, lists of changes, paces."""

from typing import Any

import pytest

from sandbox.changes import previous
from sandbox.clock import Clock
from sandbox.errors import StripeError, unknown_key
from sandbox.form import decode
from sandbox.lists import within
from sandbox.money import check_amount
from sandbox.names import Names
from sandbox.store import Changes
from sandbox.timers import Timers


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("metadata[x]=1&metadata[y]=2", {"metadata": {"x": "1", "y": "2"}}),
        ("metadata[0]=a&metadata[7]=b", {"metadata": {"0": "a", "7": "b"}}),
        ("types[]=a&types[]=b", {"types": ["a", "b"]}),
        ("expand[1]=b&expand[0]=a", {"expand": ["a", "b"]}),
        ("created[gte]=5", {"created": {"gte": "5"}}),
        ("s[a][b][c]=1&s[a][d]=2", {"s": {"a": {"b": {"c": "1"}, "d": "2"}}}),
        ("metadata%5Bx%5D=%C3%A4+%26", {"metadata": {"x": "ä &"}}),
    ],
)
def test_a_form_means(text: str, meaning: Any) -> None:
    assert decode(text) == meaning


@pytest.mark.parametrize("text", ["a[b=1", "[a]=1", "a=1&a[b]=2", "a[b][c][d][e][f][g][h]=1"])
def test_a_form_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(StripeError):
        decode(text)


def test_time_goes_at_its_pace_and_never_back() -> None:
    real = [1000.0]
    clock = Clock(pace=60, real=lambda: real[0])
    real[0] = 1001.0
    assert clock.now() == 1060.0

    clock.jump_to(500.0)
    assert clock.now() == 1060.0
    clock.jump_to(2000.0)
    real[0] = 1000.5

    assert clock.now() == 2000.0
    assert clock.real_wait_s(2060.0) == 1.0


def test_a_clock_that_is_held_stands_still() -> None:
    real = [1000.0]
    clock = Clock(real=lambda: real[0])
    clock.hold()
    real[0] = 1500.0
    assert clock.now() == 1000.0
    clock.jump_to(1200.0)

    clock.release()

    assert clock.now() == 1200.0


def test_a_clock_that_is_taken_up_went_on_meanwhile() -> None:
    real = [1000.0]
    before = Clock(pace=2, real=lambda: real[0])
    before.jump_to(5000.0)
    real[0] = 1100.0
    after = Clock(pace=1, real=lambda: real[0])

    after.restore(before.to_json())

    assert after.now() == 5200.0
    real[0] = 1110.0
    assert after.now() == 5210.0


def test_timers_run_in_order_of_time_and_then_of_making() -> None:
    real = [0.0]
    timers = Timers(Clock(real=lambda: real[0]), Changes())
    ran: list[str] = []
    timers.on("note", ran.append)
    for wait_s, name in ((2, "c"), (1, "a"), (1, "b"), (9, "d")):
        timers.after(wait_s, "note", name)

    real[0] = 2.0

    assert timers.run_due() == 3
    assert ran == ["a", "b", "c"]
    assert timers.next_due_s() == 9.0


def test_ids_depend_on_what_they_are_for() -> None:
    ids = {Names(seed).id(prefix, part) for seed in (1, 2) for prefix in ("po", "tr") for part in ("a", "b")}
    assert len(ids) == 8
    assert Names(1).id("po", "a") == Names(1).id("po", "a")
    assert all(len(each) == 27 and each.isascii() for each in ids)


def test_previous_holds_the_old_values_of_what_differs() -> None:
    before = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1], "gone": 1}
    after = {"a": 1, "b": {"c": 2, "d": 4, "new": 5}, "e": [1, 2]}

    assert previous(before, after) == {"b": {"d": 3, "new": None}, "e": [1], "gone": 1}


@pytest.mark.parametrize(
    ("amount_minor", "currency", "is_payout", "good"),
    [
        (1, "usd", True, True),
        (1, "jpy", True, True),
        (150, "huf", True, False),
        (150, "huf", False, True),
        (200, "twd", True, True),
        (150, "isk", False, False),
        (100, "ugx", True, True),
        (1005, "kwd", False, False),
        (1010, "kwd", True, True),
        (0, "usd", False, False),
        (10**12, "usd", False, False),
    ],
)
def test_an_amount_fits_its_currency(amount_minor: int, currency: str, is_payout: bool, good: bool) -> None:
    try:
        taken = check_amount(amount_minor, currency, is_payout) == amount_minor
    except StripeError:
        taken = False
    assert taken == good


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, [1, 2, 3]),
        ({"gt": 1}, [2, 3]),
        ({"gte": 2}, [2, 3]),
        ({"lt": 2}, [1]),
        ({"lte": 2, "gt": 1}, [2]),
    ],
)
def test_a_range_keeps_what_is_within(wanted: Any, found: list[int]) -> None:
    assert [value for value in (1, 2, 3) if within(value, wanted)] == found


def test_a_wrong_key_is_masked() -> None:
    message = str(unknown_key("sk_test_0123456789abcdef"))
    assert "sk_test_" in message
    assert "0123456789ab" not in message
    assert "short" not in str(unknown_key("short"))
