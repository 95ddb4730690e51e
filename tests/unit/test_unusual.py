"""What a second person is told to look at."""

import dataclasses

import pytest

from payouts.request import PayoutRequest
from payouts.unusual import DAY_MS, EARLIER_MOST, HOUR_MS, Earlier, Oddity, about_bank_account, about_request
from tests.support.requests import a_partner, a_request

NOW_MS = 1_790_000_000_000


def earlier(amount_minor: int = 10_000, *, ago_ms: int = 30 * DAY_MS, **changes: object) -> Earlier:
    made = Earlier(amount_minor, "eur", "paid", "command", NOW_MS - ago_ms)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def asked(amount_minor: int = 10_000, **changes: object) -> PayoutRequest:
    return a_request(a_partner(), amount_minor, created_at_ms=NOW_MS, **changes)


def said(
    request: PayoutRequest, *before: Earlier, was_paid: bool = True, **partner: object
) -> dict[str, str]:
    found = about_request(request, a_partner(**partner), before, was_paid=was_paid, now_ms=NOW_MS)
    return {one.code: one.text for one in found}


def test_a_payout_as_all_before_it_is_not_unusual() -> None:
    assert said(asked(), earlier(), earlier(), earlier()) == {}


def test_the_first_payout_is_unusual_and_not_called_the_largest_too() -> None:
    told = said(asked(), earlier(status="failed"), was_paid=False)
    assert list(told) == [Oddity.FIRST_PAYOUT]


@pytest.mark.parametrize(
    ("amount_minor", "times"), [(10_001, "a little more than"), (12_599, "1.2 times"), (99_000, "9.9 times")]
)
def test_what_is_larger_than_ever_is_told_by_how_much(amount_minor: int, times: str) -> None:
    told = said(asked(amount_minor), earlier(), earlier(500_000, status="failed"))
    assert told[Oddity.LARGEST] == (f"it is larger than any that was paid: {times} the largest, 100.00 EUR")


def test_amounts_of_another_currency_are_not_compared() -> None:
    assert said(asked(500_000), earlier(100, currency="jpy")) == {}


def test_it_says_where_only_the_last_ones_were_looked_at() -> None:
    told = said(asked(10_001), *[earlier()] * EARLIER_MOST)
    assert f"among its last {EARLIER_MOST}" in told[Oddity.LARGEST]


def test_the_fifth_within_a_day_is_many_and_the_fourth_is_not() -> None:
    of_today = [earlier(ago_ms=hours * HOUR_MS) for hours in (1, 5, 23)]
    yesterday = earlier(ago_ms=DAY_MS)
    assert said(asked(), *of_today, yesterday) == {}
    told = said(asked(), earlier(ago_ms=1), *of_today, yesterday)
    assert told == {Oddity.MANY: "it is the 5th payout requested for this partner within 24 h"}


def test_another_source_than_usual_is_told_once_there_is_a_usual_one() -> None:
    by_schedule = [earlier(source="schedule")] * 3
    assert said(asked(), *by_schedule[:2]) == {}
    told = said(asked(), *by_schedule)
    assert told[Oddity.OTHER_SOURCE] == (
        "it was requested by command; 3 of the 3 before it by schedule, none by command"
    )
    assert said(asked(), earlier(), *by_schedule) == {}


@pytest.mark.parametrize(
    ("ago_ms", "length"), [(0, "less than an hour"), (5 * HOUR_MS, "5 h"), (3 * DAY_MS, "3 days")]
)
def test_a_new_bank_account_is_told_with_how_new_it_is(ago_ms: int, length: str) -> None:
    told = said(asked(), earlier(), bank_since_ms=NOW_MS - ago_ms)
    assert told == {Oddity.BANK_NEW: f"its bank account Testbank …6789 is known for {length} only"}


def test_a_bank_account_of_two_weeks_is_not_new() -> None:
    assert said(asked(), earlier(), bank_since_ms=NOW_MS - 14 * DAY_MS) == {}


def test_a_bank_account_in_place_of_an_approved_one_is_told() -> None:
    found = about_bank_account(a_partner(bank_approved="ba_before"), NOW_MS)
    assert [one.code for one in found] == [Oddity.BANK_UNAPPROVED, Oddity.BANK_REPLACED]
    first = about_bank_account(a_partner(bank_approved=None, bank_status="errored"), NOW_MS)
    assert [one.code for one in first] == [Oddity.BANK_UNAPPROVED, Oddity.BANK_UNUSABLE]


def test_what_stripe_still_wants_is_told() -> None:
    told = said(asked(), earlier(), requirements='{"currently_due": ["external_account"]}')
    assert told == {Oddity.REQUIREMENTS: "Stripe still wants external_account"}
