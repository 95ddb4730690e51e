"""Operations: the mode of the service, stopping everything, maintenance, emergency; holds."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from console.output import parse_time
from console.web.call import Call
from console.web.counted import counted
from console.web.verb import Field, Verb
from payouts import emergency, holding, maintenance
from payouts.bootstrap import open_modes
from payouts.errors import NotFoundError, PayoutsError, RefusedError
from payouts.holds import EVERYTHING, HoldKind
from payouts.mode import Mode, ModeNow
from payouts.people import Scope
from payouts.storage.hold_rows import active_list
from payouts.storage.maintenance_rows import open_window, window_list
from payouts.storage.queries import Filters
from payouts.stores import open_emergency_switch
from payouts.window import Window, WindowState

SHOWN = 20
AT = "/operations"


def operations(call: Call) -> Response:
    """What mode the service is in, and what changes it."""
    parts = call.parts
    modes = open_modes(parts.settings, parts.engine, parts.redis).all_now()
    window = open_window(call.connection)
    nothing = Filters({})
    holds = active_list(call.connection, nothing, SHOWN)
    data = {"modes": [{"mode": each.mode, "since_ms": each.since_ms, "by": each.by} for each in modes]}
    return call.page(
        "operations.html",
        title="Operations",
        data=data,
        modes=modes,
        window=window,
        windows=window_list(call.connection, nothing, SHOWN),
        verbs=_verbs(modes, window),
        holds=holds,
        release=release_verb,
    )


def stop(call: Call) -> Response:
    """The kill switch."""
    call.do(
        lambda connection, actor, make_id, at_ms: holding.place(
            connection, HoldKind.KILL_SWITCH, EVERYTHING, actor, call.reason, make_id, at_ms
        )
    )
    return call.back(AT, "nothing is sent any more, until payouts are let go on")


def resume(call: Call) -> Response:
    """Undo it."""
    call.do(
        lambda connection, actor, make_id, at_ms: holding.release(
            connection, HoldKind.KILL_SWITCH, EVERYTHING, actor, call.reason, make_id, at_ms
        )
    )
    woken = holding.wake_waiting(call.parts.engine, HoldKind.KILL_SWITCH, call.parts.clock)
    return call.back(AT, f"payouts are sent again; {counted(woken, 'payout')} waited")


def announce(call: Call) -> Response:
    """Announce maintenance."""
    starts_at_ms, ends_at_ms = _time(call, "starts"), _time(call, "ends")
    window = call.do(
        lambda connection, actor, make_id, at_ms: maintenance.announce(
            connection, starts_at_ms, ends_at_ms, call.form.get("text", ""), actor, make_id, at_ms
        )
    )
    return call.back(AT, f"maintenance is announced, {window.span}")


def start(call: Call) -> Response:
    """Start the maintenance that is announced."""
    return _window(call, maintenance.start, "maintenance is started: nothing is sent until it is ended")


def end(call: Call) -> Response:
    """End it."""
    answer = _window(call, maintenance.end, "maintenance is ended: payouts are sent again")
    maintenance.wake(call.parts.engine, call.parts.clock)
    return answer


def call_off(call: Call) -> Response:
    """Call off what is announced."""
    return _window(call, maintenance.call_off, "the maintenance is called off")


def emergency_on(call: Call) -> Response:
    """Switch emergency mode on."""
    switch = open_emergency_switch(call.parts.settings, call.parts.redis)
    emergency.switch_on(switch, call.actor, call.reason, call.parts.make_id, call.now_ms)
    return call.back(AT, f"emergency mode is on: nothing is paid{_noted(call, switch)}")


def emergency_off(call: Call) -> Response:
    """Switch it off."""
    switch = open_emergency_switch(call.parts.settings, call.parts.redis)
    emergency.switch_off(switch, call.actor, call.reason, call.parts.make_id, call.now_ms)
    return call.back(AT, f"emergency mode is off; what was spilled is drained{_noted(call, switch)}")


def release(call: Call) -> Response:
    """Release one hold."""
    text = call.path("hold_id")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise NotFoundError(f"there is no hold {text[:40]}")
    done = call.do(
        lambda connection, actor, make_id, at_ms: holding.release_by_id(
            connection, int(text), actor, call.reason, make_id, at_ms
        )
    )
    woken = holding.wake_waiting(call.parts.engine, done.kind, call.parts.clock)
    return call.back(AT, f"the hold is released; {counted(woken, 'payout')} waited")


def _window(call: Call, verb: Callable[..., Window], said: str) -> Response:
    def work(connection: Any, actor: Any, make_id: Any, at_ms: int) -> Window:
        held = open_window(connection)
        if held is None:
            raise RefusedError("no_maintenance", "no maintenance is announced or started any more")
        return verb(connection, held.id, actor, call.reason, make_id, at_ms)

    call.do(work)
    return call.back(AT, said)


def _noted(call: Call, switch: Any) -> str:
    try:
        emergency.write_notes(call.parts.engine, switch, call.parts.make_id, call.parts.clock)
    except SQLAlchemyError:
        return "; the database does not answer, so the audit entry waits in Redis"
    return ""


def _time(call: Call, name: str) -> int:
    text = call.form.get(name, "").strip()
    try:
        return parse_time(text)
    except PayoutsError as error:
        raise RefusedError("bad_time", str(error)) from None


def _verbs(modes: list[ModeNow], window: Window | None) -> list[Verb]:
    on = {each.mode for each in modes if not each.by_setting}
    verbs = [
        Verb("Let payouts go on", "Payouts are sent again. Other holds stay.", f"{AT}/resume")
        if Mode.STOPPED in on
        else Verb(
            "Stop every payout",
            "Nothing is sent any more, at once. What Stripe has already goes on; requests are taken, "
            "and wait.",
            f"{AT}/stop",
            danger=True,
        )
    ]
    verbs += _maintenance_verbs(window)
    verbs.append(
        Verb(
            "End emergency mode",
            "Payouts are sent again, and spilled events are drained.",
            f"{AT}/emergency-off",
        )
        if Mode.EMERGENCY in on
        else Verb(
            "Emergency mode",
            "For when the database is in trouble: nothing is paid, webhooks wait in Redis, and the API "
            "answers reads from what it knew last.",
            f"{AT}/emergency-on",
            danger=True,
        )
    )
    return verbs


def _maintenance_verbs(window: Window | None) -> list[Verb]:
    if window is None:
        fields = (
            Field("starts", "Starts", hint="UTC, as 2026-12-31T22:00:00Z"),
            Field("ends", "Ends", hint="UTC"),
            Field("text", "What those who use the portal are told", "textarea"),
        )
        says = "Tells the portal of it. Nothing is stopped until somebody starts it."
        return [Verb("Announce maintenance", says, f"{AT}/announce", needs_reason=False, fields=fields)]
    if window.state == WindowState.STARTED:
        return [Verb("End maintenance", "Payouts are sent again, and the API answers.", f"{AT}/end")]
    says = f"Nothing is sent, and the API answers 503, until somebody ends it. Announced: {window.span}."
    return [
        Verb("Start maintenance", says, f"{AT}/start", danger=True),
        Verb("Call maintenance off", f"The window {window.span} is called off.", f"{AT}/call-off"),
    ]


def release_verb(row: dict[str, Any]) -> Verb:
    """The form that releases a hold of the list."""
    says = f"What waits for this hold ({row['holds']}) goes on, where nothing else holds it."
    return Verb("Release", says, f"{AT}/holds/{row['id']}/release")


ROUTES = (
    ("GET", AT, operations, Scope.READ),
    ("POST", f"{AT}/stop", stop, Scope.OPERATE),
    ("POST", f"{AT}/resume", resume, Scope.OPERATE),
    ("POST", f"{AT}/announce", announce, Scope.OPERATE),
    ("POST", f"{AT}/start", start, Scope.OPERATE),
    ("POST", f"{AT}/end", end, Scope.OPERATE),
    ("POST", f"{AT}/call-off", call_off, Scope.OPERATE),
    ("POST", f"{AT}/emergency-on", emergency_on, Scope.OPERATE),
    ("POST", f"{AT}/emergency-off", emergency_off, Scope.OPERATE),
    ("POST", f"{AT}/holds/{{hold_id}}/release", release, Scope.OPERATE),
)
