"""Leaving dead events at that: an operator ignores them, with a reason, and may take that back."""

from collections.abc import Sequence

from sqlalchemy import Connection

from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.states import EventStatus
from payouts.storage import audit_rows
from payouts.storage.dismissal_rows import change_status

AT_ONCE = 500
"""Events by transaction: locks are held for a moment only."""


def dismiss(
    connection: Connection,
    inbox_ids: Sequence[int],
    subject: str,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> int:
    """Ignore those of these events that are dead; returns how many. They stay, to be restored or replayed.

    `subject`: what they are, for the audit log. Raises RefusedError `reason_missing`, `too_many_events`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    _check_number(inbox_ids)
    done = change_status(
        *(connection, inbox_ids, EventStatus.DEAD, EventStatus.DISMISSED),
        by=actor.name,
        reason=reason,
        at_ms=now_ms,
    )
    _note(connection, "event.dismiss", subject, done, actor, reason, make_id, now_ms)
    return done


def restore(
    connection: Connection,
    inbox_ids: Sequence[int],
    subject: str,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> int:
    """Take back `dismiss`: those of these events that are dismissed are dead again; returns how many."""
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    _check_number(inbox_ids)
    done = change_status(connection, inbox_ids, EventStatus.DISMISSED, EventStatus.DEAD)
    _note(connection, "event.restore", subject, done, actor, reason, make_id, now_ms)
    return done


def _check_number(inbox_ids: Sequence[int]) -> None:
    if len(inbox_ids) > AT_ONCE:
        raise RefusedError("too_many_events", f"{len(inbox_ids)} events at once are too many: take {AT_ONCE}")


def _note(
    connection: Connection,
    action: str,
    subject: str,
    events: int,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> None:
    if not events:
        return
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=subject,
        reason=reason,
        details={"events": events},
    )
