"""What happened to a payout, as one timeline: merged from all its rows, causes before effects. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum, auto
from typing import Any

from payouts.history import Row, Rows
from payouts.history_texts import answer_text, attempt_text, doubt_of, event_text, hold_text, movements_text
from payouts.leg import Attempt, Leg
from payouts.money import format_money
from payouts.states import AttemptStatus


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


class Kind(StrEnum):
    """What an entry of a history is about."""

    REQUESTED = "requested"
    DECISION = "decision"
    HOLD = "hold"
    HOLD_RELEASED = "hold_released"
    ATTEMPT = "attempt"
    ANSWER = "answer"
    EVENT = "event"
    EVENT_AGAIN = "event_again"
    EVENT_FAILED = "event_failed"
    PAYOUT_MOVED = "payout_moved"
    MOVED = "moved"
    POSTED = "posted"
    NOTICE = "notice"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `text` is for people, `details` holds the same and more by name."""

    at_ms: int
    rank: Rank
    id: int
    """Of the row it comes from: the order of two things of the same rank."""
    kind: Kind
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
            Kind.REQUESTED,
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
        yield Entry(row["at_ms"], Rank.BRAKE, row["id"], Kind.DECISION, text, row["actor"], details)
    for hold in rows.holds:
        on = hold_text(hold)
        known = {"hold_id": str(hold.id), "kind": hold.kind, "scope": hold.scope, "scope_key": hold.scope_key}
        yield Entry(
            *(hold.placed_at_ms, Rank.BRAKE, hold.id, Kind.HOLD, f"{on}: {hold.reason}", hold.placed_by),
            {**known, "reason": hold.reason},
        )
        if hold.released_at_ms is not None:
            why = hold.release_reason
            text = _with_reason(on, why)
            yield Entry(
                *(hold.released_at_ms, Rank.BRAKE, hold.id, Kind.HOLD_RELEASED, text, hold.released_by),
                {**known, "reason": why},
            )


def _attempts(rows: Rows) -> Iterator[Entry]:
    legs = {leg.id: leg for leg in rows.legs}
    answered = {attempt.answered_at_ms: attempt.id for attempt in reversed(rows.attempts)}
    for attempt in rows.attempts:
        leg = legs.get(attempt.leg_id)
        # Written together with the answer to the call before it: it comes after what that answer did.
        earlier = answered.get(attempt.first_sent_at_ms)
        rank = Rank.NEXT_ATTEMPT if earlier is not None and earlier < attempt.id else Rank.ATTEMPT
        text = attempt_text(attempt, leg)
        details = {
            **_named(attempt),
            "stripe_account": attempt.stripe_account,
            "status": attempt.status,
            "sends": attempt.sends or None,
            "last_sent_at_ms": attempt.last_sent_at_ms or None,
            "doubt": doubt_of(attempt),
            "worker": attempt.worker,
        }
        yield Entry(attempt.first_sent_at_ms, rank, attempt.id, Kind.ATTEMPT, text, None, details)
        if attempt.answered_at_ms is not None:
            yield _answer(attempt, leg, attempt.answered_at_ms)


def _answer(attempt: Attempt, leg: Leg | None, at_ms: int) -> Entry:
    refused = attempt.status == AttemptStatus.REFUSED
    made = leg.stripe_id if leg and attempt.status == AttemptStatus.SUCCEEDED else None
    details = {
        **_named(attempt),
        "status": attempt.status,
        "stripe_id": made,
        "http_status": attempt.http_status if refused else None,
        "error_code": attempt.error_code if refused else None,
        "error": attempt.error if refused else None,
        "stripe_request_id": attempt.stripe_request_id,
    }
    text = answer_text(attempt, made)
    return Entry(at_ms, Rank.ANSWER, attempt.id, Kind.ANSWER, text, None, details)


def _named(attempt: Attempt) -> dict[str, Any]:
    return {
        "call": attempt.call,
        "leg_id": str(attempt.leg_id),
        "number": attempt.number,
        "idempotency_key": attempt.idempotency_key,
    }


def _events(rows: Rows) -> Iterator[Entry]:
    for row in rows.events:
        details = _some(row, "event_id", "type", "object_id", "source", "status", "reason", "last_error")
        details["decided_at_ms"] = row["processed_at_ms"]
        yield Entry(row["received_at_ms"], Rank.EVENT, row["id"], Kind.EVENT, event_text(row), None, details)
    for row in rows.deliveries:
        text = f"{row['event_id']} delivered again, by {row['source']}"
        details = _some(row, "event_id", "source")
        yield Entry(row["received_at_ms"], Rank.EVENT, row["id"], Kind.EVENT_AGAIN, text, None, details)
    for row in rows.failures:
        text = f"{row['event_id']}, attempt {row['attempt']}: {row['error_class']}: {row['error']}"
        details = _some(row, "event_id", "attempt", "error_class", "error", "worker")
        yield Entry(row["at_ms"], Rank.EVENT, row["id"], Kind.EVENT_FAILED, text, None, details)


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
        yield Entry(row["at_ms"], Rank.PAYOUT_MOVED, row["id"], Kind.PAYOUT_MOVED, text, None, details)
    for row in rows.request_moves:
        text = f"{row['from_status'] or 'new'} → {row['to_status']}: {row['reason']}"
        details = _some(row, "from_status", "to_status", "reason")
        yield Entry(row["at_ms"], Rank.REQUEST_MOVED, row["id"], Kind.MOVED, text, row["actor"], details)


def _posted(rows: Rows) -> Iterator[Entry]:
    for row in rows.transactions:
        text = f"{row['kind']}: {movements_text(row['sums'], row['currency'])}"
        details = {
            "transaction": row["kind"],
            "reference": row["reference"],
            "currency": row["currency"],
            "postings_minor": dict(row["sums"]),
        }
        yield Entry(row["posted_at_ms"], Rank.POSTED, row["id"], Kind.POSTED, text, row["actor"], details)


def _told(rows: Rows) -> Iterator[Entry]:
    for row in rows.notices:
        error = f" ({row['last_error']})" if row["last_error"] else ""
        details = _some(row, "name", "status", "delivered_at_ms", "last_error")
        text = f"{row['name']}: {row['status']}{error}"
        yield Entry(row["created_at_ms"], Rank.NOTICE, row["id"], Kind.NOTICE, text, None, details)
    for row in rows.audit:
        details = _some(row, "action", "subject", "reason", "details")
        text = _with_reason(row["action"], row["reason"])
        yield Entry(row["at_ms"], Rank.AUDIT, row["id"], Kind.AUDIT, text, row["actor"], details)


def _some(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _with_reason(text: str, reason: str | None) -> str:
    return f"{text}: {reason}" if reason else text
