"""What was known about a payout at a time in the past: its rows, taken back to then. Pure.

States come from the logs of transitions, never from the rows that hold the latest one. What neither a log nor
a time on a row tells is left out, and named in `not_kept`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from payouts.history import Row, Rows, covering
from payouts.holds import Hold
from payouts.ledger import LedgerKind
from payouts.leg import Attempt, Leg
from payouts.notices import NoticeStatus
from payouts.request import PayoutRequest
from payouts.states import AttemptStatus, EventStatus, LegStatus, RequestStatus

WAITING, DETAILS, SENDS = "what it waited for", "details of Stripe's payout", "how often calls were sent"
"""What `not_kept` names."""


def as_of(rows: Rows, at_ms: int, balances: Mapping[tuple[str, LedgerKind], int]) -> Rows:
    """`rows` as they were at `at_ms`, that moment included; `balances` are the partner's of then.

    The request must have been there by then.
    """
    request_moves = _until(rows.request_moves, "at_ms", at_ms)
    payout_moves = _until(rows.payout_moves, "at_ms", at_ms)
    request = rows.request and _request(rows.request, rows.request_moves, at_ms)
    holds = [_hold(hold, at_ms) for hold in rows.holds if hold.placed_at_ms <= at_ms]
    return dataclasses.replace(
        rows,
        request=request,
        payouts=[
            _payout(row, rows.payout_moves, at_ms) for row in _until(rows.payouts, "created_at_ms", at_ms)
        ],
        legs=[_leg(leg, rows, at_ms) for leg in rows.legs if leg.created_at_ms <= at_ms],
        attempts=[_attempt(a, at_ms) for a in rows.attempts if a.first_sent_at_ms <= at_ms],
        request_moves=request_moves,
        payout_moves=payout_moves,
        holds=covering(holds, request, request_moves) if request else [],
        approvals=_until(rows.approvals, "at_ms", at_ms),
        transactions=_until(rows.transactions, "posted_at_ms", at_ms),
        notices=[_notice(row, at_ms) for row in _until(rows.notices, "created_at_ms", at_ms)],
        audit=_until(rows.audit, "at_ms", at_ms),
        events=[_event(row, rows.failures, at_ms) for row in _until(rows.events, "received_at_ms", at_ms)],
        deliveries=_until(rows.deliveries, "received_at_ms", at_ms),
        failures=_until(rows.failures, "at_ms", at_ms),
        balances=balances,
        not_kept=_not_kept(rows, at_ms),
    )


def _until(rows: Sequence[Row], column: str, at_ms: int) -> list[Row]:
    return [row for row in rows if row[column] <= at_ms]


def _status(now: str | None, moves: Sequence[Row], at_ms: int) -> str | None:
    """The state at `at_ms` of what is `now` in another one and came there by `moves`, oldest first."""
    before = [move for move in moves if move["at_ms"] <= at_ms]
    if before:
        return str(before[-1]["to_status"])
    first: str | None = moves[0]["from_status"] if moves else now
    return first


def _request(request: PayoutRequest, moves: Sequence[Row], at_ms: int) -> PayoutRequest:
    status = RequestStatus(_status(request.status, moves, at_ms) or request.status)
    changes: dict[str, Any] = {"status": status}
    if request.updated_at_ms > at_ms:
        changes |= {"blocked": None, "blocked_text": None, "due_at_ms": 0}
    if request.sent_at_ms is not None and request.sent_at_ms > at_ms:
        changes["sent_at_ms"] = None
    return dataclasses.replace(request, **changes)


def _payout(row: Row, moves: Sequence[Row], at_ms: int) -> Row:
    of_this = [move for move in moves if move["payout_id"] == row["id"]]
    then = {**row, "status": _status(row["status"], of_this, at_ms)}
    if row["updated_at_ms"] <= at_ms:
        return then
    return {**then, **dict.fromkeys(_LATER_FACTS)}


_LATER_FACTS = (
    *("arrival_date_s", "balance_transaction", "failure_balance_transaction", "failure_code"),
    *("failure_message", "reversed_by", "reconciliation_status", "trace_id", "unknown_status"),
)
"""What Stripe tells of a payout while it runs; only the latest is kept."""


def _leg(leg: Leg, rows: Rows, at_ms: int) -> Leg:
    if leg.updated_at_ms <= at_ms:
        return leg
    made_at_ms = _made_at_ms(leg, rows.attempts)
    if made_at_ms is None or made_at_ms > at_ms:
        return dataclasses.replace(leg, status=LegStatus.OPEN, stripe_id=None, reversed_minor=0)
    # One that failed or came back in whole is changed no more after that.
    return dataclasses.replace(leg, status=LegStatus.DONE, reversed_minor=_reversed_minor(leg, rows, at_ms))


def _made_at_ms(leg: Leg, attempts: Sequence[Attempt]) -> int | None:
    """When it was known that Stripe has made the object; None where that is not known even now."""
    times = (
        attempt.answered_at_ms
        for attempt in attempts
        if attempt.leg_id == leg.id and attempt.status == AttemptStatus.SUCCEEDED
    )
    return min((at_ms for at_ms in times if at_ms is not None), default=None)


def _reversed_minor(leg: Leg, rows: Rows, at_ms: int) -> int:
    before = f"leg:{leg.id}:reversed:"
    totals = (
        int(row["reference"].removeprefix(before))
        for row in rows.transactions
        if row["posted_at_ms"] <= at_ms and row["reference"].startswith(before)
    )
    return max(totals, default=0)


def _attempt(attempt: Attempt, at_ms: int) -> Attempt:
    changes: dict[str, Any] = {}
    answered = attempt.answered_at_ms is not None and attempt.answered_at_ms <= at_ms
    if attempt.status != AttemptStatus.OPEN and not answered:
        changes |= {"status": AttemptStatus.OPEN, "answered_at_ms": None, **_NO_ANSWER}
    if attempt.last_sent_at_ms > at_ms:
        # Of three sendings and more only the first and the last are kept.
        changes |= {"sends": 1 if attempt.sends == 2 else 0, "last_sent_at_ms": 0, **_NO_ANSWER}
        if attempt.sends == 2:
            changes["last_sent_at_ms"] = attempt.first_sent_at_ms
    return dataclasses.replace(attempt, **changes)


_NO_ANSWER = dict.fromkeys(("http_status", "error_code", "error", "stripe_request_id"))


def _hold(hold: Hold, at_ms: int) -> Hold:
    if hold.released_at_ms is None or hold.released_at_ms <= at_ms:
        return hold
    return dataclasses.replace(hold, active=True, released_by=None, released_at_ms=None, release_reason=None)


def _event(row: Row, failures: Sequence[Row], at_ms: int) -> Row:
    if row["processed_at_ms"] is not None and row["processed_at_ms"] <= at_ms:
        return row
    failed = [f for f in failures if f["event_id"] == row["event_id"] and f["at_ms"] <= at_ms]
    open_status = EventStatus.RETRYING if failed else EventStatus.RECEIVED
    error = failed[-1]["error"] if failed else None
    return {**row, "status": open_status, "reason": None, "last_error": error, "processed_at_ms": None}


def _notice(row: Row, at_ms: int) -> Row:
    if row["delivered_at_ms"] is not None and row["delivered_at_ms"] <= at_ms:
        return row
    return {**row, "status": NoticeStatus.PENDING, "delivered_at_ms": None, "last_error": None}


def _not_kept(rows: Rows, at_ms: int) -> list[str]:
    found = []
    if rows.request and rows.request.updated_at_ms > at_ms:
        found.append(WAITING)
    if any(row["created_at_ms"] <= at_ms < row["updated_at_ms"] for row in rows.payouts):
        found.append(DETAILS)
    if any(a.first_sent_at_ms <= at_ms < a.last_sent_at_ms and a.sends > 2 for a in rows.attempts):
        found.append(SENDS)
    return found
