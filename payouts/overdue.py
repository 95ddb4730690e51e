"""What takes longer than it may, found in our own books without asking Stripe: the limits, and what to do."""

from dataclasses import dataclass

from payouts.difference import DifferenceKind, Finding
from payouts.money import format_money
from payouts.request import public_id
from payouts.states import RequestStatus

HOUR_MS = 3_600_000
STUCK_MS: dict[RequestStatus, int] = {
    RequestStatus.AWAITING_APPROVAL: 72 * HOUR_MS,
    RequestStatus.QUEUED: 7 * 24 * HOUR_MS,
    RequestStatus.SENDING: 26 * HOUR_MS,
    RequestStatus.REVERSING: 26 * HOUR_MS,
    RequestStatus.UNCLEAR: 4 * HOUR_MS,
    RequestStatus.RETURNED: 72 * HOUR_MS,
    RequestStatus.SENT: 10 * 24 * HOUR_MS,
}
"""How long a request may be in a state. Sending may wait for a balance over a day; what is unclear holds up
the partner's other payouts."""
ARRIVAL_GRACE_MS = 48 * HOUR_MS
"""Past the day of arrival: Stripe marks a payout as paid in the course of that day."""
SILENT_MS = 24 * HOUR_MS
"""Stripe tells of a new payout within seconds, and delivers for three days."""
ATTEMPT_OPEN_MS = 23 * HOUR_MS
"""Past this a key is not used again: what became of the call must be found out."""

_REMEDY: dict[RequestStatus, str] = {
    RequestStatus.AWAITING_APPROVAL: "payouts payout approve {id}",
    RequestStatus.UNCLEAR: "payouts payout look {id}",
    RequestStatus.RETURNED: "payouts payout retry {id}",
}


@dataclass(frozen=True, slots=True)
class Late:
    """A row that takes too long: of what, since when, and what is known of it."""

    id: int
    account: str
    amount_minor: int
    currency: str
    since_ms: int
    detail: str | None = None
    stripe_id: str | None = None
    request_id: int | None = None


def stuck(status: RequestStatus, now_ms: int, row: Late) -> Finding:
    """A request that is longer in `status` than that allows."""
    name = public_id(row.id)
    waits = f"; it waits for {row.detail}" if row.detail else ""
    text = f"{name} is {status} for {_hours(row, now_ms)}, more than the {_limit(STUCK_MS[status])}{waits}"
    remedy = _REMEDY.get(status, "payouts payout show {id}").format(id=name)
    return _finding(DifferenceKind.REQUEST_STUCK, row, name, text, remedy, str(status))


def overdue(row: Late) -> Finding:
    """A payout past its day of arrival."""
    text = f"payout {row.stripe_id} is still {row.detail}, past the day on which it was to arrive"
    return _finding(DifferenceKind.PAYOUT_OVERDUE, row, str(row.stripe_id), text, _ask(row), row.detail)


def silent(now_ms: int, row: Late) -> Finding:
    """A payout that no event has told of."""
    text = f"payout {row.stripe_id} was made {_hours(row, now_ms)} ago, and no event of it has come"
    return _finding(DifferenceKind.PAYOUT_SILENT, row, str(row.stripe_id), text, _ask(row), row.detail)


def attempt_open(now_ms: int, row: Late) -> Finding:
    """An attempt whose outcome is not known."""
    name = public_id(row.request_id or 0)
    text = (
        f"what became of a call for {name} is not known since {_hours(row, now_ms)}; "
        "its key is too old to repeat it"
    )
    remedy = f"payouts reconcile run --payout {name}"
    return _finding(DifferenceKind.ATTEMPT_OPEN, row, f"attempt:{row.id}", text, remedy, row.detail)


def returned_restricted(row: Late) -> Finding:
    """Money that came back, of a partner that cannot be paid."""
    amount = format_money(row.amount_minor, row.currency)
    text = f"{amount} came back for a partner that is {row.detail}: it cannot be sent again as things stand"
    remedy = f"payouts partner show {row.account}"
    return _finding(
        DifferenceKind.RETURNED_RESTRICTED, row, f"returned:{row.currency}", text, remedy, row.detail
    )


def _finding(
    kind: DifferenceKind, row: Late, subject: str, text: str, remedy: str, ours: str | None
) -> Finding:
    return Finding(kind, row.account, subject, text, remedy, row.currency, ours)


def _ask(row: Late) -> str:
    return f"payouts reconcile run --payout {row.stripe_id}"


def _hours(row: Late, now_ms: int) -> str:
    return _limit(now_ms - row.since_ms)


def _limit(span_ms: int) -> str:
    return f"{span_ms // HOUR_MS} h"
