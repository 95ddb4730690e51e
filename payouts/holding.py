"""Placing and releasing holds: the kill switch, and what a person holds back or lets go."""

import dataclasses
from collections.abc import Collection, Sequence
from functools import partial

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.errors import NotFoundError, RefusedError
from payouts.holds import WAITS_FOR, Hold, HoldKind, HoldScope, Target, named
from payouts.ids import IdMaker
from payouts.limits import MOST_WINDOW_S
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.request import PayoutRequest, no_request
from payouts.states import REQUEST_TRANSITIONS, RequestStatus
from payouts.storage import audit_rows, hold_rows, outflow_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.outflow_rows import Minute
from payouts.storage.request_rows import lock_requests
from payouts.storage.unit import in_transaction

WAKE_MOST = 500
BEGUN_STATUSES = (RequestStatus.QUEUED, RequestStatus.SENDING, RequestStatus.REVERSING)
"""In which a request waits for something to be sent."""


def place(
    connection: Connection,
    kind: HoldKind,
    target: Target,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
    account: str = PLATFORM,
) -> Hold:
    """Hold back what `target` covers until it is released. Calls that are at Stripe already go on.

    Raises RefusedError `already_held` where a hold of this kind is on it.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    _note(connection, "hold.place", kind, target, actor, reason, make_id, now_ms, account)
    # The entry above holds its chain's lock: of two people who press at once, one comes second here.
    for held in hold_rows.active_on(connection, [target]):
        if held.kind != kind:
            continue
        raise RefusedError(
            "already_held", f"{named(target)} is held already, by {held.placed_by}: {held.reason}"
        )
    hold = Hold(make_id(), account, kind, *target, reason, actor.name, now_ms, active=True)
    hold_rows.HOLDS.insert(connection, [hold])
    return hold


def release(
    connection: Connection,
    kind: HoldKind,
    target: Target,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> list[Hold]:
    """Let go what a hold of `kind` on `target` holds back. RefusedError `not_held` where there is none."""
    held = hold_rows.lock_active_on(connection, kind, target)
    if not held:
        raise RefusedError("not_held", f"{named(target)} is not held")
    return _release(connection, held, actor, reason, make_id, now_ms)


def release_by_id(
    connection: Connection, hold_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Hold:
    """Release one hold, of whatever kind. Raises NotFoundError, or RefusedError `not_held`.

    A velocity limit begins to count anew from here: else the next payout would trip it again.
    """
    hold = hold_rows.lock_hold(connection, hold_id)
    if hold is None:
        raise NotFoundError(f"there is no hold {hold_id}: `payouts hold list` shows them")
    if not hold.active:
        raise RefusedError("not_held", f"hold {hold_id} was released before, by {hold.released_by}")
    return _release(connection, [hold], actor, reason, make_id, now_ms)[0]


def hold_request(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Hold one request back. Raises NotFoundError; RefusedError `has_ended` or `already_held`."""
    request = _request(connection, request_id)
    if request.status not in REQUEST_TRANSITIONS:
        raise RefusedError(
            "has_ended", f"{request.public_id} is {request.status}: there is nothing left to hold back"
        )
    target = (HoldScope.REQUEST, str(request_id))
    place(connection, HoldKind.MANUAL, target, actor, reason, make_id, now_ms, request.account)
    return request


def release_request(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Undo `hold_request`; it is looked at again at once. Raises NotFoundError; RefusedError `not_held`."""
    request = _request(connection, request_id)
    release(connection, HoldKind.MANUAL, (HoldScope.REQUEST, str(request_id)), actor, reason, make_id, now_ms)
    hold_rows.wake_one(connection, request_id, WAITS_FOR[HoldKind.MANUAL], now_ms)
    return request


def _request(connection: Connection, request_id: int) -> PayoutRequest:
    # Its lock comes before the hold's, as it does where it is sent.
    request = lock_requests(connection, [request_id]).get(request_id)
    if request is None:
        raise no_request(request_id)
    return request


def hold_account(
    connection: Connection, account: str, placed_by: str, reason: str, make_id: IdMaker, now_ms: int
) -> None:
    """Hold back all payouts to a Stripe account, whether or not a partner has it; once, until a person
    releases it."""
    target = (HoldScope.ACCOUNT, account)
    if hold_rows.lock_active_on(connection, HoldKind.RECOVERY, target):
        return
    hold = Hold(
        *(make_id(), account, HoldKind.RECOVERY, *target, reason[:255], placed_by, now_ms), active=True
    )
    hold_rows.HOLDS.insert(connection, [hold])
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=placed_by,
        action="hold.place",
        subject=named(target),
        account=account,
        reason=reason,
        details={"kind": HoldKind.RECOVERY},
    )


def wake_waiting(engine: Engine, kind: HoldKind, clock: Clock) -> int:
    """Make what waited for a released hold due now; returns how many."""
    return wake_codes(engine, [WAITS_FOR[kind]], clock)


def wake_stopped(engine: Engine, codes: Sequence[str], clock: Clock) -> int:
    """As `wake_codes`, for what stopped all sending: what was begun before waits for its end, too."""
    return wake_codes(engine, codes, clock, BEGUN_STATUSES)


def wake_codes(
    engine: Engine,
    codes: Sequence[str],
    clock: Clock,
    statuses: Collection[RequestStatus] = (RequestStatus.QUEUED,),
) -> int:
    """Make what waits for one of `codes` due now, in small steps of their own; returns how many.

    Without it they come by themselves when they are next looked at.
    """
    woken = 0
    last: list[int] = [0]
    while last:
        step = partial(
            hold_rows.wake, codes=codes, now_ms=clock(), most=WAKE_MOST, after_id=last[-1], statuses=statuses
        )
        last = in_transaction(engine, step)
        woken += len(last)
    return woken


def _release(
    connection: Connection, held: list[Hold], actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> list[Hold]:
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    released = [
        dataclasses.replace(
            hold, active=False, released_by=actor.name, released_at_ms=now_ms, release_reason=reason
        )
        for hold in held
    ]
    hold_rows.HOLDS.save(connection, released)
    for hold in released:
        if hold.kind == HoldKind.VELOCITY:
            _count_anew(connection, hold, make_id, now_ms)
    first = released[0]
    _note(
        *(connection, "hold.release", first.kind, first.target, actor, reason, make_id, now_ms),
        first.account,
    )
    return released


def _count_anew(connection: Connection, hold: Hold, make_id: IdMaker, now_ms: int) -> None:
    """Set off each minute that was counted by a row of the opposite sign: both leave the window together."""
    currency = hold.scope_key if hold.scope == HoldScope.CURRENCY else None
    first = outflow_rows.minute_of(now_ms - MOST_WINDOW_S * 1000)
    everything = hold.scope == HoldScope.ALL
    opposite = [
        Minute(
            *(gone.account, gone.minute, gone.currency),
            amount_minor=0 if everything else -gone.amount_minor,
            payouts=-gone.payouts if everything else 0,
        )
        for gone in outflow_rows.by_minute(connection, hold.account, first, currency)
    ]
    outflow_rows.add(connection, opposite, f"release:{hold.id}", make_id)


def _note(
    connection: Connection,
    action: str,
    kind: HoldKind,
    target: Target,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
    account: str,
) -> None:
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=named(target),
        account=account,
        reason=reason,
        details={"kind": kind},
    )
