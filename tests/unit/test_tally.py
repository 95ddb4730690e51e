"""What a proof counts, page by page: every event once, whatever seconds its pages end in."""

from collections.abc import Sequence

import pytest

from payouts.tally import NAMED_MOST, OTHER_REASONS, REASONS_MOST, Listed, Named, Stored, Tally, totals


def compared(listed: Sequence[Listed], ours: Sequence[Listed], size: int) -> Tally:
    """A tally over all pages of `size`, written and read between two of them as between two steps."""
    tally = Tally.read(None)
    newest_first = sorted(listed, key=lambda event: event.created_s)[::-1]
    pages = [newest_first[start : start + size] for start in range(0, len(newest_first), size)] or [[]]
    for number, page in enumerate(pages, 1):
        since_s, until_s = tally.span(page, 0, 100, last=number == len(pages))
        tally.compare(page, [event.id for event in ours if since_s <= event.created_s <= until_s])
        tally.move_on(page)
        tally = Tally.read(tally.write())
    return tally


LISTED = [
    Listed(f"evt_{number}", second) for number, second in enumerate([0, 5, 5, 5, 5, 5, 9, 9, 50, 100, 100])
]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 20])
def test_events_of_one_second_on_several_pages_are_all_known_as_listed(size: int) -> None:
    assert compared(LISTED, LISTED, size).unlisted == Named()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 20])
@pytest.mark.parametrize("second", [0, 5, 7, 9, 50, 100])
def test_what_stripe_does_not_list_is_found_in_any_second_once(size: int, second: int) -> None:
    stray = Listed("evt_stray", second)
    assert compared(LISTED, [*LISTED, stray], size).unlisted == Named(1, ["evt_stray"])


def test_where_stripe_lists_nothing_all_of_ours_is_unlisted() -> None:
    assert compared([], LISTED[:3], 2).unlisted.count == 3


def test_of_many_missing_events_the_first_are_named_and_all_are_counted() -> None:
    named = Named()
    named.add(f"evt_{number}" for number in range(NAMED_MOST + 5))
    assert (named.count, len(named.ids), named.ids[0]) == (NAMED_MOST + 5, NAMED_MOST, "evt_0")


def test_reasons_beyond_the_limit_are_counted_together() -> None:
    tally = Tally()
    tally.count(Stored(number, "ignored", f"reason {number}") for number in range(REASONS_MOST + 7))
    assert len(tally.reasons) == REASONS_MOST + 1
    assert tally.reasons[OTHER_REASONS] == 7
    assert sum(tally.reasons.values()) == REASONS_MOST + 7


def test_what_is_in_no_final_state_is_open() -> None:
    assert totals({"applied": 3, "retrying": 2, "deferred": 1, "received": 1, "dead": 1, "dismissed": 2}) == {
        "applied": 3,
        "ignored": 0,
        "dead": 1,
        "dismissed": 2,
        "open": 4,
    }
