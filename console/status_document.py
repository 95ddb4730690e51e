"""What `payouts status --json` says: everything of the overview, in one object."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from payouts.clock import iso

if TYPE_CHECKING:
    from payouts.overview import Overview
    from payouts.storage.age_queries import Waiting
    from payouts.storage.minutes import Minute
    from payouts.storage.redis_view import Process
    from payouts.vendor_status import VendorStatus

COUNTS = ("received", "refused", "unavailable", "applied", "ignored", "deferred", "failed", "dead")
"""What is told of each minute."""


def document(seen: "Overview", vendors: "Sequence[VendorStatus]" = ()) -> dict[str, Any]:
    """All that is known: times as ISO 8601, spans in ms, shares of 1, sizes in bytes.

    Null: Redis or the database is away.
    """
    return {
        "at": iso(seen.at_ms),
        "level": seen.level,
        "mode": msgspec.to_builtins(seen.mode),
        "signs": {
            sign.vital: {"level": sign.level, "parts": msgspec.to_builtins(sign.parts)} for sign in seen.signs
        },
        "answers": {
            role: {
                "requests": each.requests,
                "errors": each.errors,
                "limited": each.limited,
                "p95_ms": each.p95_ms,
            }
            for role, each in seen.answers.items()
        },
        "dependencies": [{"level": each.level, **msgspec.to_builtins(each)} for each in seen.dependencies],
        "vendors": [{"name": each.name, "well": each.well, "text": each.text} for each in vendors],
        "missing": seen.missing,
        "processes": [_process_document(each) for each in seen.processes] if seen.redis else None,
        "queues": msgspec.to_builtins(seen.redis.queues) if seen.redis else None,
        "minutes": [_minute(each) for each in seen.redis.minutes] if seen.redis else None,
        **_database_document(seen),
    }


def _database_document(seen: "Overview") -> dict[str, Any]:
    view = seen.database
    if view is None:
        return dict.fromkeys(("waiting", "dead", "holds", "recovery_since"))
    return {
        "waiting": {
            "events": [_wait(each) for each in view.events],
            "requests": [_wait(each) for each in view.requests],
            "notices": [_wait(each) for each in view.notices],
        },
        "dead": {
            "events": {"count": view.dead_events.count, "oldest": iso(view.dead_events.oldest_ms)},
            "notices": {"count": view.dead_notices.count, "oldest": iso(view.dead_notices.oldest_ms)},
        },
        "holds": [
            {
                "kind": hold.kind,
                "reason": hold.reason,
                "placed_by": hold.placed_by,
                "placed_at": iso(hold.placed_at_ms),
            }
            for hold in view.holds
        ],
        "recovery_since": iso(view.recovery.began_at_ms) if view.recovery else None,
    }


def _process_document(each: "Process") -> dict[str, Any]:
    state: dict[str, Any] = msgspec.to_builtins(each.state) if each.state else {}
    started_at_ms = state.pop("started_at_ms", None)
    return {
        "role": each.seen.role,
        "name": each.seen.name,
        "last_seen": iso(each.seen.at_ms),
        "started": iso(started_at_ms),
        **state,
    }


def _minute(each: "Minute") -> dict[str, Any]:
    return {"at": iso(each.at_ms), **{name: getattr(each, name) for name in COUNTS}}


def _wait(each: "Waiting") -> dict[str, Any]:
    return {
        "status": each.status,
        "since": iso(each.since_ms),
        "due": iso(each.due_at_ms),
        "reason": each.reason,
    }
