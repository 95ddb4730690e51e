"""What a requested payout waits for, in a line. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payouts.holds import WAITS_FOR, Hold
from payouts.request import PayoutRequest
from payouts.states import OPEN_REQUEST_STATUSES, RequestStatus


@dataclass(frozen=True, slots=True)
class Wait:
    """`until_ms`: when it is looked at again, if nothing happens before; None: nobody looks by himself."""

    code: str
    text: str
    until_ms: int | None = None


def wait_of(request: PayoutRequest, holds: Sequence[Hold], *, is_known: bool = True) -> Wait | None:
    """What `request` waits for; None where it has ended, or where it cannot be told.

    `is_known` false: its row tells no longer, only the `holds` over it do.
    """
    if request.status in _PEOPLE:
        return Wait(*_PEOPLE[request.status])
    if request.status not in OPEN_REQUEST_STATUSES:
        return None
    if is_known:
        text = request.blocked_text or request.blocked or "a worker"
        return Wait(request.blocked or "worker", text, request.due_at_ms)
    active = next((hold for hold in holds if hold.active), None)
    return Wait(WAITS_FOR[active.kind], active.reason) if active else None


def wait_in_list(row: Mapping[str, Any]) -> Wait | None:
    """The same for a row of a list, by its `status`, `blocked` and `blocked_text`; None: for nothing."""
    status, blocked = RequestStatus(row["status"]), row["blocked"]
    if status in _PEOPLE:
        return Wait(*_PEOPLE[status])
    return Wait(blocked, row["blocked_text"] or blocked) if blocked else None


_PEOPLE = {
    RequestStatus.AWAITING_APPROVAL: ("approval", "a second person: approve or reject"),
    RequestStatus.SENT: ("stripe", "Stripe's events"),
    RequestStatus.RETURNED: ("decision", "a person: retry or reverse"),
    RequestStatus.UNCLEAR: ("decision", "a person: look or never-made"),
}
