"""The page on reconciling names every kind of difference, and says truly which heal."""

from pathlib import Path

from payouts.difference import BALANCE_KINDS, OBJECT_KINDS, OVERDUE_KINDS, DifferenceKind
from payouts.overdue import STUCK_MS
from payouts.states import REQUEST_TRANSITIONS, RequestStatus

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reconciling.md"


def test_every_kind_of_difference_is_explained() -> None:
    page = PAGE.read_text()
    assert [kind for kind in DifferenceKind if f"`{kind}`" not in page] == []


def test_every_kind_is_looked_at_again_by_one_of_the_comparisons() -> None:
    grouped = [*OBJECT_KINDS, *BALANCE_KINDS, *OVERDUE_KINDS, DifferenceKind.UNREADABLE]
    assert sorted(grouped) == sorted(DifferenceKind)


def test_every_state_that_a_request_can_leave_has_a_limit_but_paid() -> None:
    leaving = {status for status in REQUEST_TRANSITIONS if status is not None}
    assert leaving - {RequestStatus.PAID} == STUCK_MS.keys()
