"""The gate: what stops a payout at the moment it would be sent, whatever was checked when it was requested.

Looked at in the transaction that writes the first call to Stripe down, with partners and requests locked, in
a few queries for a whole set. Where a limit on velocity is set, its row is locked until that transaction
ends: two workers never both count the last payout that still fits.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.holds import WAITS_FOR, ActiveHolds, Hold, HoldKind, HoldScope, named, targets_of
from payouts.ids import IdMaker, floor_id
from payouts.limits import COUNTED, MOST_WINDOW_S, LimitKind, Limits
from payouts.partner import Partner
from payouts.readiness import NOT_APPROVED, GateRules, Stop, partner_stop
from payouts.request import PayoutRequest
from payouts.storage import approval_rows, outflow_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.hold_rows import HOLDS, active_on
from payouts.storage.limit_rows import limits_for, lock_limits
from payouts.storage.outflow_rows import Minute
from payouts.storage.request_notices import RequestNotice, insert_request_notices
from payouts.storage.unit import in_transaction
from payouts.velocity import Meter, MeterKey, Trip, measured

__all__ = ["GateRules", "NotOut", "Stop", "forget_outflow", "note_outflow", "stops"]

FORGET_AT_ONCE = 2_000
DAY_S = 86_400
BY_VELOCITY = "system:velocity"
"""Who placed a hold that no person placed."""
VELOCITY_TRIPPED = "alert.velocity_tripped"


@dataclass(frozen=True, slots=True)
class NotOut:
    """A request that was counted as going out at a time, and did not: Stripe refused the call."""

    request: PayoutRequest
    counted_at_ms: int


def stops(
    connection: Connection,
    requests: Sequence[PayoutRequest],
    partners: Mapping[int, Partner],
    rules: GateRules,
    now_ms: int,
    make_id: IdMaker,
    begun: Collection[int] = (),
) -> dict[int, Stop]:
    """Why each of `requests` may not be sent now, by request id; those left out may.

    `requests` in the order in which they would be sent. `begun`: ids of those whose money is out already, so
    that no limit on velocity counts their next call. The caller goes on to send the others in the same
    transaction, and calls `note_outflow` for them in it.
    """
    holds = ActiveHolds(active_on(connection, {at for request in requests for at in targets_of(request)}))
    limits = Limits(limits_for(connection, {request.partner_id for request in requests}))
    unapproved = _unapproved(connection, requests, limits)
    found: dict[int, Stop] = {}
    free = []
    for request in requests:
        hold = holds.on(request)
        stop = _held(hold) if hold else partner_stop(partners[request.partner_id], rules, now_ms)
        if stop is None and request.id in unapproved:
            stop = Stop(NOT_APPROVED, "waits for a second person to approve it")
        if stop is None:
            free.append(request)
        else:
            found[request.id] = stop
    fresh = [request for request in free if request.id not in begun]
    return found | _too_fast(connection, fresh, limits, holds, now_ms, make_id)


def note_outflow(
    connection: Connection,
    requests: Sequence[PayoutRequest],
    worker: str,
    make_id: IdMaker,
    now_ms: int,
    not_out: Sequence[NotOut] = (),
) -> None:
    """Count `requests` as going out now, in the rows of `worker` for this minute.

    `not_out`: taken off the minutes in which they were counted, so that every window that reaches back to
    them forgets both together.
    """
    sums: dict[tuple[str, int, str], Minute] = {}
    counts = [(request, now_ms, 1) for request in requests]
    counts += [(each.request, each.counted_at_ms, -1) for each in not_out]
    for request, at_ms, count in counts:
        for account in (PLATFORM, request.account):
            key = (account, outflow_rows.minute_of(at_ms), request.currency)
            was = sums.get(key, Minute(*key, amount_minor=0, payouts=0))
            amount_minor = was.amount_minor + count * request.amount_minor
            sums[key] = dataclasses.replace(was, amount_minor=amount_minor, payouts=was.payouts + count)
    outflow_rows.add(connection, list(sums.values()), worker, make_id)


def forget_outflow(engine: Engine, now_ms: int) -> int:
    """Remove some of what no window reaches back to any more; returns how many rows."""
    kept_from = floor_id(now_ms - (MOST_WINDOW_S + DAY_S) * 1000)
    return in_transaction(
        engine, lambda connection: outflow_rows.prune(connection, kept_from, FORGET_AT_ONCE)
    )


def _unapproved(connection: Connection, requests: Sequence[PayoutRequest], limits: Limits) -> set[int]:
    """The requests that nobody but the one who asked approved, although their mark or the threshold as it
    is now demands it."""
    needing = [request for request in requests if request.needs_approval or _is_large(request, limits)]
    if not needing:
        return set()
    approvers = approval_rows.approvers_of(connection, [request.id for request in needing])
    return {r.id for r in needing if not approvers.get(r.id, set()) - {r.requested_by}}


def _is_large(request: PayoutRequest, limits: Limits) -> bool:
    if request.sent_at_ms is not None:
        return False  # begun under the threshold of then: nobody could approve it any more
    threshold = limits.of(LimitKind.APPROVAL, request.partner_id, request.currency)
    return threshold is not None and request.amount_minor >= threshold.value


def _too_fast(
    connection: Connection,
    requests: Sequence[PayoutRequest],
    limits: Limits,
    holds: ActiveHolds,
    now_ms: int,
    make_id: IdMaker,
) -> dict[int, Stop]:
    if not requests or not limits.with_window:
        return {}
    # Locked, then read again: whoever was faster has committed what it sends by now, and its holds.
    windowed = Limits(lock_limits(connection, [limit.id for limit in limits.with_window]))
    for placed in active_on(connection, {at for request in requests for at in targets_of(request)}):
        holds.add(placed)
    meter = Meter(windowed, _used(connection, windowed, requests, now_ms))
    found: dict[int, Stop] = {}
    for request in requests:
        hold = holds.on(request)
        trip = None if hold else meter.add(request)
        if trip:
            hold = _hold_for(trip, request, now_ms, make_id)
            HOLDS.insert(connection, [hold])
            insert_request_notices(connection, [_alert(hold, request)], make_id)
            holds.add(hold)
        if hold:
            found[request.id] = _held(hold)
    return found


def _used(
    connection: Connection, limits: Limits, requests: Sequence[PayoutRequest], now_ms: int
) -> dict[MeterKey, int]:
    accounts = {PLATFORM, *(request.account for request in requests)}
    sums = {
        window_s: outflow_rows.since(connection, accounts, outflow_rows.minute_of(now_ms - window_s * 1000))
        for window_s in {limit.window_s for limit in limits.with_window}
    }
    used = {}
    for request in requests:
        for limit, target in measured(limits, request):
            account = request.account if target[0] == HoldScope.PARTNER else PLATFORM
            used[limit.kind, target] = sum(
                gone.payouts if limit.kind in COUNTED else gone.amount_minor
                for gone in sums[limit.window_s]
                if gone.account == account and limit.currency in ("", gone.currency)
            )
    return used


def _held(hold: Hold) -> Stop:
    texts = {
        HoldKind.KILL_SWITCH: f"everything is stopped by {hold.placed_by}: {hold.reason}",
        HoldKind.VELOCITY: f"{hold.reason}: a person looks at it and releases hold {hold.id}",
        HoldKind.MANUAL: f"held by {hold.placed_by}: {hold.reason}",
        HoldKind.RECOVERY: f"{hold.reason}: a person finds out and releases hold {hold.id}",
    }
    return Stop(WAITS_FOR[hold.kind], texts[hold.kind])


def _hold_for(trip: Trip, request: PayoutRequest, now_ms: int, make_id: IdMaker) -> Hold:
    scope, key = trip.target
    account = request.account if scope == HoldScope.PARTNER else PLATFORM
    return Hold(
        *(make_id(), account, HoldKind.VELOCITY, scope, key, trip.text[:255], BY_VELOCITY, now_ms),
        active=True,
    )


def _alert(hold: Hold, request: PayoutRequest) -> RequestNotice:
    text = f"{hold.reason}: {named(hold.target)} is held until a person releases it"
    return RequestNotice(VELOCITY_TRIPPED, request, hold.placed_at_ms, text, occasion=str(hold.id))
