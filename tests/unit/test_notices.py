"""Which channels a notice goes to, and which notices wait for an older one."""

import pytest

from payouts.alerts import ENDS
from payouts.notices import Notice, Route, Undelivered, channels_for, held_back

UNTIL_MS = 5_000


def open_(notice: Notice) -> Undelivered:
    return Undelivered(notice.id, notice.subjects, UNTIL_MS)


def about(row_id: int, payout_id: int | None = None, request_id: int | None = None) -> Notice:
    return Notice(row_id, "acct_1", "payout.created", payout_id, request_id, "{}", 0)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("payout.created", ("log",)),
        ("alert.payout_unclear", ("log", "pager")),
        ("alerting", ("log",)),
    ],
)
def test_a_notice_goes_to_each_channel_that_takes_its_name_once(name: str, channels: tuple[str, ...]) -> None:
    routes = [Route("log"), Route("pager", "alert.*"), Route("log", "payout.*")]
    assert channels_for(name, routes) == channels


def test_a_notice_waits_for_an_older_one_of_its_payout() -> None:
    older = [open_(about(1, payout_id=7))]
    assert held_back([about(2, payout_id=7), about(3, payout_id=8)], older) == {2: UNTIL_MS}


def test_a_notice_does_not_wait_for_a_newer_one_or_for_one_of_the_same_set() -> None:
    claimed = [about(2, payout_id=7), about(3, payout_id=7)]
    older = [open_(notice) for notice in (*claimed, about(4, payout_id=7))]
    assert held_back(claimed, older) == {}


def test_what_waits_holds_back_those_of_its_request_too() -> None:
    older = [open_(about(1, payout_id=7))]
    claimed = [about(4, request_id=9), about(2, payout_id=7, request_id=9)]
    assert held_back(claimed, older) == {2: UNTIL_MS, 4: UNTIL_MS}


def test_a_payout_and_a_request_of_the_same_number_have_nothing_to_do_with_each_other() -> None:
    assert held_back([about(2, request_id=7)], [open_(about(1, payout_id=7))]) == {}


def test_what_is_about_no_payout_waits_for_nothing() -> None:
    assert held_back([about(2)], [open_(about(1))]) == {}


def told(row_id: int, name: str, account: str = "platform") -> Notice:
    return Notice(row_id, account, name, None, None, "{}", 0)


@pytest.mark.parametrize(("end", "beginning"), ENDS.items())
def test_the_end_of_a_trouble_waits_for_its_beginning(end: str, beginning: str) -> None:
    assert held_back([told(2, end), told(3, beginning)], [open_(told(1, beginning))]) == dict.fromkeys(
        (2, 3), UNTIL_MS
    )


def test_what_ends_one_trouble_waits_for_no_other_and_for_no_other_partner() -> None:
    older = [open_(told(1, "alert.emergency_on")), open_(told(2, "partner.maintenance_planned", "acct_1"))]
    called_off = [told(row_id, "partner.maintenance_called_off", f"acct_{row_id - 2}") for row_id in (3, 4)]
    assert held_back([*called_off, told(5, "alert.recovery_ended")], older) == {3: UNTIL_MS}
