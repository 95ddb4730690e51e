"""What people do with replays: ask for one, confirm it, pause it, change its rate, call it off."""

import dataclasses
from typing import Any

from sqlalchemy import Connection

from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.replay import OPEN_REPLAY_STATUSES, RATE_PER_S, Replay, ReplayStatus, Selection, check_rate
from payouts.storage import audit_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.people_rows import maker_of
from payouts.storage.replay_rows import REPLAYS, count_open, lock_replay, newest_id
from payouts.version import VERSION

OPEN_MOST = 20
"""Replays that are not over. Each is a list of events: more of them would only hide each other."""


def ask(
    connection: Connection,
    selection: Selection,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
    rate_per_s: int = RATE_PER_S,
) -> Replay:
    """Ask for a replay of what is in the inbox now. Workers find its events, then run them in order.

    Raises RefusedError `reason_missing`, `bad_rate`, or `too_many_replays`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    if count_open(connection) >= OPEN_MOST:
        text = f"{OPEN_MOST} replays are not over: cancel or confirm one of `payouts replay list` first"
        raise RefusedError("too_many_replays", text)
    replay = Replay(
        id=make_id(),
        account=PLATFORM,
        status=ReplayStatus.SELECTING,
        selection=selection.as_json(),
        reason=reason,
        requested_by=actor.name,
        requested_by_person=actor.person_id or maker_of(connection, actor.token_id),
        version=VERSION,
        rate_per_s=check_rate(rate_per_s),
        position=-1,
        until_id=newest_id(connection),
        created_at_ms=now_ms,
    )
    REPLAYS.insert(connection, [replay])
    details = {"selection": str(selection), "rate_per_s": rate_per_s}
    _note(connection, "replay.ask", replay, actor, reason, details, make_id, now_ms)
    return replay


def confirm(connection: Connection, replay_id: int, actor: Actor, make_id: IdMaker, now_ms: int) -> Replay:
    """Let a large replay begin. RefusedError `not_waiting`; `four_eyes` for whoever asked for it, by whatever
    token, that of a program included which they made, and for programs."""
    actor.require(Scope.APPROVE)
    replay = _locked(connection, replay_id)
    if replay.status != ReplayStatus.AWAITING_CONFIRMATION:
        raise RefusedError("not_waiting", f"{replay.public_id} waits for nobody, it is {replay.status}")
    if actor.person_id is None or actor.person_id == replay.requested_by_person:
        text = f"{replay.public_id} was asked for by {replay.requested_by}: another person must confirm it"
        raise RefusedError("four_eyes", text)
    changes = {"status": ReplayStatus.RUNNING, "confirmed_by": actor.name, "confirmed_at_ms": now_ms}
    return _change(connection, "replay.confirm", replay, changes, actor, None, make_id, now_ms)


def pause(
    connection: Connection, replay_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Replay:
    """Stop after the events that are under way. RefusedError `not_running`."""
    actor.require(Scope.OPERATE)
    replay, reason = _locked(connection, replay_id), check_reason(reason)
    if replay.status != ReplayStatus.RUNNING:
        raise RefusedError("not_running", f"{replay.public_id} is not running, it is {replay.status}")
    changes = {"status": ReplayStatus.PAUSED}
    return _change(connection, "replay.pause", replay, changes, actor, reason, make_id, now_ms)


def resume(connection: Connection, replay_id: int, actor: Actor, make_id: IdMaker, now_ms: int) -> Replay:
    """Go on after a pause. RefusedError `not_paused`."""
    actor.require(Scope.OPERATE)
    replay = _locked(connection, replay_id)
    if replay.status != ReplayStatus.PAUSED:
        raise RefusedError("not_paused", f"{replay.public_id} is not paused, it is {replay.status}")
    changes = {"status": ReplayStatus.RUNNING}
    return _change(connection, "replay.resume", replay, changes, actor, None, make_id, now_ms)


def set_rate(
    connection: Connection, replay_id: int, rate_per_s: int, actor: Actor, make_id: IdMaker, now_ms: int
) -> Replay:
    """Change the rate of a replay, running or not. RefusedError `bad_rate`, or `is_over`."""
    actor.require(Scope.OPERATE)
    replay = _open(connection, replay_id)
    changes = {"rate_per_s": check_rate(rate_per_s)}
    return _change(connection, "replay.rate", replay, changes, actor, None, make_id, now_ms)


def cancel(
    connection: Connection, replay_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Replay:
    """Call a replay off. What had its turn stays as it is. RefusedError `is_over`."""
    actor.require(Scope.OPERATE)
    replay, reason = _open(connection, replay_id), check_reason(reason)
    changes = {"status": ReplayStatus.CANCELED, "ended_by": actor.name, "ended_at_ms": now_ms}
    return _change(connection, "replay.cancel", replay, changes, actor, reason, make_id, now_ms)


def _open(connection: Connection, replay_id: int) -> Replay:
    replay = _locked(connection, replay_id)
    if replay.status not in OPEN_REPLAY_STATUSES:
        raise RefusedError("is_over", f"{replay.public_id} is over: it is {replay.status}")
    return replay


def _locked(connection: Connection, replay_id: int) -> Replay:
    replay = lock_replay(connection, replay_id)
    if replay is None:
        raise NotFoundError(f"there is no replay {replay_id}: `payouts replay list` shows them")
    return replay


def _change(
    connection: Connection,
    action: str,
    replay: Replay,
    changes: dict[str, Any],
    actor: Actor,
    reason: str | None,
    make_id: IdMaker,
    now_ms: int,
) -> Replay:
    changed = dataclasses.replace(replay, **changes)
    REPLAYS.save(connection, [changed])
    details = {"rate_per_s": changed.rate_per_s} if "rate_per_s" in changes else {"done": replay.done}
    _note(connection, action, changed, actor, reason, details, make_id, now_ms)
    return changed


def _note(
    connection: Connection,
    action: str,
    replay: Replay,
    actor: Actor,
    reason: str | None,
    details: dict[str, Any],
    make_id: IdMaker,
    now_ms: int,
) -> None:
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=replay.public_id,
        reason=reason,
        details=details,
    )
