"""The history of one payout: what is kept about it in many tables, as one timeline. Pure, no database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Any

from payouts.history_texts import attempt_text, doubt_of, event_text, hold_text, movements_text
from payouts.holds import Hold
from payouts.ledger import LedgerKind
from payouts.leg import Attempt, Leg
from payouts.money import format_money
from payouts.partner import Partner
from payouts.request import PayoutRequest
from payouts.states import AttemptStatus, RequestStatus

Row = Mapping[str, Any]
"""A row of a table, by the names of its columns."""


@dataclass(frozen=True, slots=True)
class Rows:
    """All that is kept about one payout. Every list is in the order of its ids, the oldest first."""

    request: PayoutRequest | None = None
    """None: a foreign payout, not asked for through this service."""
    partner: Partner | None = None
    payouts: Sequence[Row] = ()
    legs: Sequence[Leg] = ()
    attempts: Sequence[Attempt] = ()
    request_moves: Sequence[Row] = ()
    payout_moves: Sequence[Row] = ()
    holds: Sequence[Hold] = ()
    approvals: Sequence[Row] = ()
    transactions: Sequence[Row] = ()
    """Each with its `sums`: minor units by kind of ledger account."""
    notices: Sequence[Row] = ()
    audit: Sequence[Row] = ()
    events: Sequence[Row] = ()
    """Without their payloads."""
    deliveries: Sequence[Row] = ()
    """Of these events, after the first one of each."""
    failures: Sequence[Row] = ()
    """Failed attempts at these events, each with its `event_id`."""
    balances: Mapping[tuple[str, LedgerKind], int] = field(default_factory=dict)
    """The partner's, by currency and kind, in minor units."""
    cut: Sequence[str] = ()
    """The lists that had more rows than are shown: their oldest are missing."""
    not_kept: Sequence[str] = ()
    """As of a time in the past: what can no longer be told."""


class Rank(IntEnum):
    """The order of what happened in the same millisecond: causes before what they caused."""

    REQUESTED = auto()
    BRAKE = auto()
    EVENT = auto()
    ATTEMPT = auto()
    ANSWER = auto()
    PAYOUT_MOVED = auto()
    REQUEST_MOVED = auto()
    POSTED = auto()
    NEXT_ATTEMPT = auto()
    NOTICE = auto()
    AUDIT = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `text` is for people, `details` holds the same and more by name."""

    at_ms: int
    rank: Rank
    id: int
    """Of the row it comes from: the order of two things of the same rank."""
    kind: str
    text: str
    actor: str | None
    details: Row


def timeline(rows: Rows) -> list[Entry]:
    """All that happened, in order of time; within a millisecond causes come first."""
    entries = [
        *_requested(rows),
        *_brakes(rows),
        *_attempts(rows),
        *_events(rows),
        *_moves(rows),
        *_posted(rows),
        *_told(rows),
    ]
    return sorted(entries, key=lambda entry: (entry.at_ms, entry.rank, entry.id))


STOPPABLE = (RequestStatus.AWAITING_APPROVAL, RequestStatus.QUEUED, RequestStatus.SENDING)
"""States in which a hold keeps a request from going on."""


def covering(holds: Sequence[Hold], request: PayoutRequest, moves: Sequence[Row]) -> list[Hold]:
    """The holds among `holds`, all on something that `request` belongs to, that lay over it while it could be
    stopped."""
    spans = list(_spans(request, moves))
    return [
        hold
        for hold in holds
        if any(
            status in STOPPABLE
            and (until_ms is None or hold.placed_at_ms < until_ms)
            and (hold.released_at_ms is None or hold.released_at_ms > from_ms)
            for status, from_ms, until_ms in spans
        )
    ]


def _spans(request: PayoutRequest, moves: Sequence[Row]) -> Iterator[tuple[str, int, int | None]]:
    """The states a request was in, each with when it was entered and left."""
    status = moves[0]["from_status"] if moves else request.status
    since_ms = request.created_at_ms
    for move in moves:
        if status is not None:
            yield status, since_ms, move["at_ms"]
        status, since_ms = move["to_status"], move["at_ms"]
    yield status, since_ms, None


def _requested(rows: Rows) -> Iterator[Entry]:
    request = rows.request
    if request is None:
        return
    money = format_money(request.amount_minor, request.currency)
    named = f", reference {request.reference}" if request.reference else ""
    yield Entry(
        *(
            request.created_at_ms,
            Rank.REQUESTED,
            request.id,
            "requested",
            f"{money} by {request.source}{named}",
        ),
        request.requested_by,
        {
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "source": request.source,
            "reference": request.reference,
            "needs_approval": request.needs_approval,
        },
    )


def _brakes(rows: Rows) -> Iterator[Entry]:
    for row in rows.approvals:
        details = _some(row, "decision", "reason")
        text = _with_reason(row["decision"], row["reason"])
        yield Entry(row["at_ms"], Rank.BRAKE, row["id"], "decision", text, row["actor"], details)
    for hold in rows.holds:
        on = hold_text(hold)
        known = {"hold_id": str(hold.id), "kind": hold.kind, "scope": hold.scope, "scope_key": hold.scope_key}
        yield Entry(
            *(hold.placed_at_ms, Rank.BRAKE, hold.id, "hold", f"{on}: {hold.reason}", hold.placed_by),
            {**known, "reason": hold.reason},
        )
        if hold.released_at_ms is not None:
            why = hold.release_reason
            text = _with_reason(on, why)
            yield Entry(
                *(hold.released_at_ms, Rank.BRAKE, hold.id, "hold_released", text, hold.released_by),
                {**known, "reason": why},
            )


def _attempts(rows: Rows) -> Iterator[Entry]:
    legs = {leg.id: leg for leg in rows.legs}
    answered = {attempt.answered_at_ms: attempt.id for attempt in reversed(rows.attempts)}
    for attempt in rows.attempts:
        leg = legs.get(attempt.leg_id)
        known = {
            "call": attempt.call,
            "leg_id": str(attempt.leg_id),
            "number": attempt.number,
            "idempotency_key": attempt.idempotency_key,
        }
        # Written together with the answer to the call before it: it comes after what that answer did.
        earlier = answered.get(attempt.first_sent_at_ms)
        follows = earlier is not None and earlier < attempt.id
        yield Entry(
            attempt.first_sent_at_ms,
            Rank.NEXT_ATTEMPT if follows else Rank.ATTEMPT,
            attempt.id,
            "attempt",
            attempt_text(attempt, leg),
            None,
            {
                **known,
                "stripe_account": attempt.stripe_account,
                "status": attempt.status,
                "sends": attempt.sends or None,
                "last_sent_at_ms": attempt.last_sent_at_ms or None,
                "doubt": doubt_of(attempt),
                "worker": attempt.worker,
            },
        )
        if attempt.answered_at_ms is not None:
            refused = attempt.status == AttemptStatus.REFUSED
            made = leg.stripe_id if leg and attempt.status == AttemptStatus.SUCCEEDED else None
            yield Entry(
                *(
                    attempt.answered_at_ms,
                    Rank.ANSWER,
                    attempt.id,
                    "answer",
                    _answer_text(attempt, made),
                    None,
                ),
                {
                    **known,
                    "status": attempt.status,
                    "stripe_id": made,
                    "http_status": attempt.http_status,
                    "error_code": attempt.error_code if refused else None,
                    "error": attempt.error if refused else None,
                    "stripe_request_id": attempt.stripe_request_id,
                },
            )


def _answer_text(attempt: Attempt, made: str | None) -> str:
    if attempt.status == AttemptStatus.SUCCEEDED:
        return f"{attempt.call}: Stripe has made {made or 'it'}"
    if attempt.status == AttemptStatus.RELEASED:
        return f"{attempt.call}: a person found that nothing was made"
    return f"{attempt.call} refused: {attempt.error_code}: {attempt.error}"


def _events(rows: Rows) -> Iterator[Entry]:
    for row in rows.events:
        details = _some(row, "event_id", "type", "object_id", "source", "status", "reason", "last_error")
        details["decided_at_ms"] = row["processed_at_ms"]
        yield Entry(row["received_at_ms"], Rank.EVENT, row["id"], "event", event_text(row), None, details)
    for row in rows.deliveries:
        text = f"{row['event_id']} delivered again, by {row['source']}"
        details = _some(row, "event_id", "source")
        yield Entry(row["received_at_ms"], Rank.EVENT, row["id"], "event_again", text, None, details)
    for row in rows.failures:
        text = f"{row['event_id']}, attempt {row['attempt']}: {row['error_class']}: {row['error']}"
        details = _some(row, "event_id", "attempt", "error_class", "error", "worker")
        yield Entry(row["at_ms"], Rank.EVENT, row["id"], "event_failed", text, None, details)


def _moves(rows: Rows) -> Iterator[Entry]:
    stripe_ids = {row["id"]: row["stripe_id"] for row in rows.payouts}
    for row in rows.payout_moves:
        stripe_id = stripe_ids.get(row["payout_id"])
        cause = f"by {row['event_id']}" if row["event_id"] else "by Stripe's answer"
        text = f"{stripe_id} {row['from_status'] or 'new'} → {row['to_status']} {cause}: {row['reason']}"
        details = {
            "stripe_id": stripe_id,
            **_some(row, "from_status", "to_status", "event_id", "reason"),
        }
        yield Entry(row["at_ms"], Rank.PAYOUT_MOVED, row["id"], "payout_moved", text, None, details)
    for row in rows.request_moves:
        text = f"{row['from_status'] or 'new'} → {row['to_status']}: {row['reason']}"
        details = _some(row, "from_status", "to_status", "reason")
        yield Entry(row["at_ms"], Rank.REQUEST_MOVED, row["id"], "moved", text, row["actor"], details)


def _posted(rows: Rows) -> Iterator[Entry]:
    for row in rows.transactions:
        text = f"{row['kind']}: {movements_text(row['sums'], row['currency'])}"
        details = {
            "transaction": row["kind"],
            "reference": row["reference"],
            "currency": row["currency"],
            "postings_minor": dict(row["sums"]),
        }
        yield Entry(row["posted_at_ms"], Rank.POSTED, row["id"], "posted", text, row["actor"], details)


def _told(rows: Rows) -> Iterator[Entry]:
    for row in rows.notices:
        error = f" ({row['last_error']})" if row["last_error"] else ""
        details = _some(row, "name", "status", "delivered_at_ms", "last_error")
        text = f"{row['name']}: {row['status']}{error}"
        yield Entry(row["created_at_ms"], Rank.NOTICE, row["id"], "notice", text, None, details)
    for row in rows.audit:
        details = _some(row, "action", "subject", "reason", "details")
        text = _with_reason(row["action"], row["reason"])
        yield Entry(row["at_ms"], Rank.AUDIT, row["id"], "audit", text, row["actor"], details)


def _some(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _with_reason(text: str, reason: str | None) -> str:
    return f"{text}: {reason}" if reason else text
