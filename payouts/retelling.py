"""Sending dead notices again: an operator's step, on record, after what was wrong was mended."""

from sqlalchemy import Connection

from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.notices import CHANNELS
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.storage import audit_rows
from payouts.storage.delivery_rows import Delivery, send_again
from payouts.storage.notice_queries import dead_after, dead_of, notice

STEP = 500


def tell_again(
    connection: Connection,
    notice_id: int,
    channel: str | None,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> list[Delivery]:
    """Make the dead deliveries of a notice due now, those of `channel` or all; returns them.

    Raises NotFoundError; RefusedError `bad_channel` where it does not go by that one, `not_dead` where no
    delivery is dead: what is under way comes by itself, what was delivered is not told twice.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    found = notice(connection, notice_id)
    if found is None:
        raise NotFoundError(f"there is no notice {notice_id}: `payouts notice list` shows them")
    where = ", ".join(f"{d['channel']}: {d['status']}" for d in found["deliveries"]) or "no channel yet"
    if channel is not None and channel not in [d["channel"] for d in found["deliveries"]]:
        raise RefusedError(
            "bad_channel", f"notice {notice_id} does not go by {channel[:40]}; it is at {where}"
        )
    again = send_again(connection, dead_of(connection, notice_id, channel), now_ms)
    if not again:
        raise RefusedError("not_dead", f"only what is dead is sent again; notice {notice_id} is at {where}")
    audit_rows.append(
        connection,
        make_id,
        now_ms,
        actor=actor.name,
        action="notice.retry",
        subject=str(notice_id),
        account=found["account"],
        reason=reason,
        details={"name": found["name"], "channels": sorted(delivery.channel for delivery in again)},
    )
    return again


def tell_dead_again(
    connection: Connection,
    after_id: int,
    channel: str | None,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> tuple[int, int | None]:
    """Make the next dead deliveries due now, a step of them, of `channel` or of all.

    Returns how many there were, and the id to go on behind; None after the last. Each step is on record.
    RefusedError `bad_channel` where nothing is dead by it and there is no such channel.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    found = dead_after(connection, after_id, channel, STEP)
    if channel is not None and channel not in CHANNELS and not found and not after_id:
        raise RefusedError(
            "bad_channel", f"there is no channel {channel[:40]}: use one of {', '.join(CHANNELS)}"
        )
    again = send_again(connection, found, now_ms)
    if again:
        ids = sorted(delivery.outbox_id for delivery in again)
        audit_rows.append(
            connection,
            make_id,
            now_ms,
            actor=actor.name,
            action="notice.retry_dead",
            subject=channel or "every channel",
            reason=reason,
            details={"deliveries": len(again), "first": str(ids[0]), "last": str(ids[-1])},
        )
    return len(again), found[-1].id if len(found) == STEP else None
