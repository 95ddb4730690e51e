"""Beginning and ending a recovery: while one is open, nothing is sent to Stripe."""

import dataclasses

from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.errors import NotFoundError, RefusedError
from payouts.holding import wake_codes
from payouts.ids import IdMaker, floor_id
from payouts.logs import get_logger
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.recovery import RECOVERY, Recovery, RecoveryStep
from payouts.storage import audit_rows, recovery_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice

BEGUN, ENDED = "alert.recovery_begun", "alert.recovery_ended"
BY_ITSELF = "system:lookout"
"""Who began a recovery that no person began."""


def begin_by_itself(
    connection: Connection, reason: str, lost_id: int, make_id: IdMaker, now_ms: int
) -> Recovery:
    """Begin a recovery because the row `lost_id` is known outside the database and not in it.

    The one that is open, where there is one. What may be lost begins with the newest attempt that is there:
    all that was sent before it is.
    """
    held = recovery_rows.lock_open_recovery(connection)
    if held is not None:
        held = dataclasses.replace(held, covers_id=max(held.covers_id, lost_id))
        recovery_rows.RECOVERIES.save(connection, [held])
        return held
    gap_from_ms = recovery_rows.newest_attempt_ms(connection)
    begun = _new(BY_ITSELF, reason, now_ms if gap_from_ms is None else gap_from_ms, make_id, now_ms)
    return _begin(connection, dataclasses.replace(begun, covers_id=max(begun.covers_id, lost_id)), make_id)


def begin(
    connection: Connection, gap_from_ms: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Recovery:
    """Begin a recovery: rows written from `gap_from_ms` on may be lost.

    Raises RefusedError `recovery_open` while one is open, or `bad_time` for a time to come.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    if gap_from_ms > now_ms:
        raise RefusedError("bad_time", f"{iso(gap_from_ms)} is yet to come: say which time was restored")
    held = recovery_rows.open_recovery(connection)
    if held is not None:
        raise RefusedError(
            "recovery_open",
            f"a recovery is open since {iso(held.began_at_ms)}, begun by {held.began_by}: "
            "`payouts recovery run` goes on with it",
        )
    return _begin(connection, _new(actor.name, reason, gap_from_ms, make_id, now_ms), make_id)


def finish(connection: Connection, actor: Actor, reason: str, make_id: IdMaker, now_ms: int) -> Recovery:
    """End the recovery: what is queued is sent again.

    Only when every step is done, by a person who neither began it nor closed the gap. Raises NotFoundError;
    RefusedError `recovery_not_done` or `four_eyes`.
    """
    actor.require(Scope.APPROVE)
    reason = check_reason(reason)
    held = recovery_rows.lock_open_recovery(connection)
    if held is None:
        raise NotFoundError("no recovery is open")
    if held.step != RecoveryStep.DONE:
        raise RefusedError(
            "recovery_not_done",
            f"the gap is not closed, it is at {held.step}: `payouts recovery run` goes on",
        )
    if actor.person_id is None or actor.name in (held.began_by, held.run_by):
        raise RefusedError(
            "four_eyes",
            f"begun by {held.began_by}, run by {held.run_by}: another person looks at it and ends it",
        )
    over = dataclasses.replace(
        held, open_key=None, ended_at_ms=now_ms, ended_by=actor.name, end_reason=reason
    )
    recovery_rows.RECOVERIES.save(connection, [over])
    text = f"the recovery of {iso(held.began_at_ms)} was ended by {actor.name}: payouts are sent again"
    insert_platform_notice(connection, PlatformNotice(ENDED, now_ms, text, str(held.id)), make_id)
    _audit(connection, "recovery.finish", over, actor.name, reason, make_id, now_ms)
    return over


def wake_stopped(engine: Engine, clock: Clock) -> int:
    """Make what the recovery stopped due now; returns how many."""
    return wake_codes(engine, [RECOVERY], clock)


def _new(by: str, reason: str, gap_from_ms: int, make_id: IdMaker, now_ms: int) -> Recovery:
    return Recovery(
        id=make_id(),
        account=PLATFORM,
        open_key=recovery_rows.OPEN,
        began_at_ms=now_ms,
        began_by=by,
        reason=reason[:255],
        gap_from_ms=gap_from_ms,
        covers_id=floor_id(now_ms),
        run_by=None,
        step=RecoveryStep.TRANSFERS,
        step_began_at_ms=now_ms,
        next_account=PLATFORM,
        partner_id=0,
        position=None,
        steps="[]",
        attached=0,
        unknown=0,
        ended_at_ms=None,
        ended_by=None,
        end_reason=None,
    )


def _begin(connection: Connection, begun: Recovery, make_id: IdMaker) -> Recovery:
    recovery_rows.insert_recovery(connection, begun)
    now_ms = begun.began_at_ms
    text = (
        f"nothing is sent any more: {begun.reason}. What was written from {iso(begun.gap_from_ms)} on may be "
        "lost: `payouts recovery run` finds at Stripe what was done"
    )
    insert_platform_notice(connection, PlatformNotice(BEGUN, now_ms, text, str(begun.id)), make_id)
    _audit(connection, "recovery.begin", begun, begun.began_by, begun.reason, make_id, now_ms)
    get_logger().error(
        "recovery.begun", reason=begun.reason, gap_from=iso(begun.gap_from_ms), by=begun.began_by
    )
    return begun


def _audit(
    connection: Connection,
    action: str,
    about: Recovery,
    actor: str,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> None:
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor,
        action=action,
        subject=f"recovery {about.id}",
        reason=reason,
        details={"gap_from_ms": about.gap_from_ms, "attached": about.attached, "unknown": about.unknown},
    )
