"""Emergency mode: nothing is paid, webhooks go to the spill, and the API reads from what it knew last.

Switched in Redis, so that it works while the database does not. The entry in the audit log is written as soon
as the database answers: by the command itself, else by the scheduler.
"""

from functools import partial

from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.emergency_state import EMERGENCY, Note, Switched, Unchecked
from payouts.errors import RefusedError
from payouts.holding import wake_stopped
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.storage import audit_rows
from payouts.storage.emergency_switch import EmergencySwitch
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.storage.people_rows import name_of
from payouts.storage.unit import in_transaction

ON, OFF = "emergency.on", "emergency.off"
HEARD_AFTER_MS = 2_000
"""By then every process that asks for the switch each second has heard of it."""


def switch_on(
    switch: EmergencySwitch, by: Actor | Unchecked, reason: str, make_id: IdMaker, now_ms: int
) -> Switched:
    """Switch it on; every process follows within a second. Then call `write_notes`.

    Raises RefusedError `emergency_on` where it is on already; redis.RedisError.
    """
    note = _note(ON, by, reason, make_id, now_ms)
    switched = Switched(now_ms, by.name, note.reason)
    if not switch.turn_on(switched, note):
        held = switch.read() or switched
        raise RefusedError(
            "emergency_on",
            f"emergency mode is on already, since {iso(held.since_ms)} by {held.by}: {held.reason}",
        )
    return switched


def switch_off(
    switch: EmergencySwitch, by: Actor | Unchecked, reason: str, make_id: IdMaker, now_ms: int
) -> Switched:
    """Switch it off; returns how it was. What was spilled is drained by the scheduler. Then call
    `write_notes`.

    Raises RefusedError `emergency_off` where it is off already; redis.RedisError.
    """
    was = switch.turn_off(_note(OFF, by, reason, make_id, now_ms))
    if was is None:
        raise RefusedError("emergency_off", "emergency mode is not switched on")
    return was


def write_notes(engine: Engine, switch: EmergencySwitch, make_id: IdMaker, clock: Clock) -> int:
    """Put every switching into the audit log that is not there yet, each once; returns how many.

    Once every process has heard that it is off, what waited for that is due: the note stays until then, for
    the scheduler. Raises what a lost database or Redis raises.
    """
    written = 0
    for note in switch.notes():
        written += in_transaction(engine, partial(_write, note=note, make_id=make_id))
        if note.action == OFF:
            if clock() < note.at_ms + HEARD_AFTER_MS:
                continue  # who has not heard of it yet would stop again what is woken now
            wake_stopped(engine, [EMERGENCY], clock)
        switch.forget(note)
    return written


def _note(action: str, by: Actor | Unchecked, reason: str, make_id: IdMaker, now_ms: int) -> Note:
    digest = None
    if isinstance(by, Actor):
        by.require(Scope.OPERATE)
    else:
        digest = by.token_digest
    return Note(str(make_id()), action, now_ms, by.name, digest, check_reason(reason))


def _write(connection: Connection, note: Note, make_id: IdMaker) -> bool:
    by, details = note.by, {}
    if note.token_digest is not None:
        found = name_of(connection, note.token_digest)
        details = {"at_the_time": note.by, "token": "known" if found else "unknown"}
        by = found or note.by
    what = "on: nothing is paid" if note.action == ON else "off: payouts are sent again"
    text = f"{by} switched emergency mode {what} ({note.reason})"
    name = "alert.emergency_on" if note.action == ON else "alert.emergency_off"
    # Whoever is killed behind the commit writes it again: the notice's key says that it is there.
    if not insert_platform_notice(connection, PlatformNotice(name, note.at_ms, text, note.id), make_id):
        return False
    audit_rows.append(
        *(connection, make_id, note.at_ms),
        actor=by,
        action=note.action,
        subject="emergency mode",
        reason=note.reason,
        details=details,
    )
    return True
