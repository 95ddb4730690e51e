"""Maintenance: announced, changed, called off, started and ended by people, each on record.

While it is started nothing is sent to Stripe, and the portal's API answers 503. Webhooks are taken and
applied as ever.
"""

import dataclasses

from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.errors import NotFoundError, RefusedError
from payouts.holding import wake_stopped
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.storage import audit_rows, maintenance_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.maintenance_rows import WINDOWS
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.window import (
    AHEAD_MOST_MS,
    LONGEST_MS,
    MAINTENANCE,
    PAST_GRACE_MS,
    TEXT_CHARS,
    Window,
    WindowState,
)

DAY_MS = 86_400_000


def announce(
    connection: Connection,
    starts_at_ms: int,
    ends_at_ms: int,
    text: str,
    actor: Actor,
    make_id: IdMaker,
    now_ms: int,
) -> Window:
    """Announce maintenance; `text` is for those who use the portal. Nothing is stopped by it.

    Raises RefusedError: `maintenance_open` while another one is announced or started, `bad_time`, `bad_text`.
    """
    actor.require(Scope.OPERATE)
    text = _checked_text(text)
    if starts_at_ms < now_ms - PAST_GRACE_MS:
        raise RefusedError("bad_time", f"{iso(starts_at_ms)} is over: announce a time to come")
    _check_times(starts_at_ms, ends_at_ms, now_ms)
    held = maintenance_rows.open_window(connection)
    if held is not None:
        raise RefusedError(
            "maintenance_open",
            f"maintenance {held.id} is {held.state} already, {held.span}: change it, call it off or end it "
            "(`payouts maintenance show`)",
        )
    window = Window(
        *(make_id(), PLATFORM, maintenance_rows.OPEN, starts_at_ms, ends_at_ms, text, now_ms, actor.name)
    )
    maintenance_rows.insert_window(connection, window)
    said = f"maintenance is announced, {window.span}: {text}"
    _tell(connection, "maintenance.announced", window, said, "", make_id, now_ms)
    _audit(connection, "maintenance.announce", window, actor, None, make_id, now_ms)
    return window


def change(
    connection: Connection,
    window_id: int,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
    *,
    starts_at_ms: int | None = None,
    ends_at_ms: int | None = None,
    text: str | None = None,
) -> Window:
    """Change what is announced; what is None stays. Of one that is started only end and text.

    Raises NotFoundError; RefusedError: `maintenance_over`, `maintenance_started`, `bad_time`, `bad_text`,
    `nothing_changes`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    held = _not_over(connection, window_id)
    if starts_at_ms is not None and held.state == WindowState.STARTED:
        raise RefusedError(
            "maintenance_started",
            f"maintenance {held.id} was started {iso(held.started_at_ms)}: only its end and text can change",
        )
    if starts_at_ms is not None and starts_at_ms < now_ms - PAST_GRACE_MS:
        raise RefusedError("bad_time", f"{iso(starts_at_ms)} is over: announce a time to come")
    changed = dataclasses.replace(
        held,
        starts_at_ms=held.starts_at_ms if starts_at_ms is None else starts_at_ms,
        ends_at_ms=held.ends_at_ms if ends_at_ms is None else ends_at_ms,
        text=held.text if text is None else _checked_text(text),
    )
    if changed == held:
        raise RefusedError("nothing_changes", "say what changes: its start, its end or its text")
    _check_times(changed.starts_at_ms, changed.ends_at_ms, now_ms)
    WINDOWS.save(connection, [changed])
    said = f"the maintenance announced before is now {changed.span}: {changed.text}"
    _tell(connection, "maintenance.changed", changed, said, str(make_id()), make_id, now_ms)
    _audit(connection, "maintenance.change", changed, actor, reason, make_id, now_ms)
    return changed


def call_off(
    connection: Connection, window_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Window:
    """Call off what was announced. Raises NotFoundError; RefusedError `maintenance_over`, or
    `maintenance_started`: then it is ended."""
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    held = _not_over(connection, window_id)
    if held.state == WindowState.STARTED:
        raise _started(held, "end it")
    over = _over(held, actor, reason, now_ms)
    WINDOWS.save(connection, [over])
    said = f"the maintenance announced for {held.span} is called off: {reason}"
    _tell(connection, "maintenance.called_off", over, said, "", make_id, now_ms)
    _audit(connection, "maintenance.call_off", over, actor, reason, make_id, now_ms)
    return over


def start(
    connection: Connection, window_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Window:
    """Start what was announced, whatever the time is: from now on nothing is sent. What Stripe has already
    goes on. Raises NotFoundError; RefusedError `maintenance_over` or `maintenance_started`."""
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    held = _not_over(connection, window_id)
    if held.state == WindowState.STARTED:
        raise _started(held, "there is nothing more to start")
    started = dataclasses.replace(held, started_at_ms=now_ms, started_by=actor.name, start_reason=reason)
    WINDOWS.save(connection, [started])
    said = f"maintenance has started, until {iso(held.ends_at_ms)} as far as is known: {held.text}"
    _tell(connection, "maintenance.started", started, said, "", make_id, now_ms)
    _audit(connection, "maintenance.start", started, actor, reason, make_id, now_ms)
    return started


def start_at_once(
    connection: Connection,
    ends_at_ms: int,
    text: str,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> Window:
    """Start maintenance that nobody announced. Raises RefusedError as `announce` does."""
    window = announce(connection, now_ms, ends_at_ms, text, actor, make_id, now_ms)
    return start(connection, window.id, actor, reason, make_id, now_ms)


def end(
    connection: Connection, window_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Window:
    """End maintenance that is going on; then call `wake`. Raises NotFoundError; RefusedError
    `maintenance_over`, or `maintenance_not_started`: then it is called off."""
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    held = _not_over(connection, window_id)
    if held.state != WindowState.STARTED:
        raise RefusedError(
            "maintenance_not_started",
            f"maintenance {held.id} is only announced, {held.span}: call it off "
            "(`payouts maintenance call-off`)",
        )
    over = _over(held, actor, reason, now_ms)
    WINDOWS.save(connection, [over])
    said = f"the maintenance that started {iso(held.started_at_ms)} is over"
    _tell(connection, "maintenance.ended", over, said, "", make_id, now_ms)
    _audit(connection, "maintenance.end", over, actor, reason, make_id, now_ms)
    return over


def wake(engine: Engine, clock: Clock) -> int:
    """Make what waited for the end of maintenance due now; returns how many.

    Whoever is killed before it delays them: they are looked at again every few minutes, by themselves.
    """
    return wake_stopped(engine, [MAINTENANCE], clock)


def _not_over(connection: Connection, window_id: int) -> Window:
    held = maintenance_rows.lock_window(connection, window_id)
    if held is None:
        raise NotFoundError(f"there is no maintenance {window_id}: `payouts maintenance show` names what is")
    if held.open_key is None:
        what = "was called off" if held.state == WindowState.CALLED_OFF else "was ended"
        raise RefusedError(
            "maintenance_over",
            f"maintenance {held.id} {what} {iso(held.over_at_ms)} by {held.over_by}: {held.over_reason}",
        )
    return held


def _started(held: Window, instead: str) -> RefusedError:
    at = iso(held.started_at_ms)
    return RefusedError(
        "maintenance_started", f"maintenance {held.id} was started {at} by {held.started_by}: {instead}"
    )


def _over(held: Window, actor: Actor, reason: str, now_ms: int) -> Window:
    return dataclasses.replace(held, open_key=None, over_at_ms=now_ms, over_by=actor.name, over_reason=reason)


def _checked_text(text: str) -> str:
    said = " ".join(text.split())
    if not 0 < len(said) <= TEXT_CHARS:
        raise RefusedError(
            "bad_text", f"say what people are to be told, in 1 to {TEXT_CHARS} characters, not {len(said)}"
        )
    return said


def _check_times(starts_at_ms: int, ends_at_ms: int, now_ms: int) -> None:
    if ends_at_ms <= starts_at_ms:
        raise RefusedError(
            "bad_time", f"it would end {iso(ends_at_ms)}, before it starts {iso(starts_at_ms)}"
        )
    if ends_at_ms <= now_ms:
        raise RefusedError("bad_time", f"{iso(ends_at_ms)} is over: say an end to come")
    if ends_at_ms - starts_at_ms > LONGEST_MS:
        raise RefusedError("bad_time", f"maintenance lasts at most {LONGEST_MS // DAY_MS} days")
    if starts_at_ms - now_ms > AHEAD_MOST_MS:
        raise RefusedError(
            "bad_time", f"{iso(starts_at_ms)} is more than {AHEAD_MOST_MS // DAY_MS} days ahead"
        )


def _tell(
    connection: Connection,
    name: str,
    window: Window,
    text: str,
    occasion: str,
    make_id: IdMaker,
    now_ms: int,
) -> None:
    about = {
        "window_id": str(window.id),
        "state": window.state,
        "starts_at": iso(window.starts_at_ms),
        "ends_at": iso(window.ends_at_ms),
        "window_text": window.text,
    }
    key = f"{window.id}:{occasion}" if occasion else str(window.id)
    insert_platform_notice(connection, PlatformNotice(name, now_ms, text, key, about), make_id)


def _audit(
    connection: Connection,
    action: str,
    window: Window,
    actor: Actor,
    reason: str | None,
    make_id: IdMaker,
    now_ms: int,
) -> None:
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=f"maintenance {window.id}",
        reason=reason,
        details={
            "starts_at_ms": window.starts_at_ms,
            "ends_at_ms": window.ends_at_ms,
            "text": window.text,
        },
    )
