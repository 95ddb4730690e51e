"""`payouts emergency` and `payouts mode`: emergency mode, and which mode the service is in."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from console.acting import AsOption, token_of
from console.context import DataOption, JsonOption, settings_of
from console.output import err, say, short_time, write_json
from console.request_commands import ReasonOption
from payouts.clock import now_ms
from payouts.emergency_state import SETTING
from payouts.errors import StoreUnavailableError
from payouts.ids import IdMaker

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from payouts.emergency_state import Unchecked
    from payouts.people import Actor
    from payouts.settings import Settings
    from payouts.storage.emergency_switch import EmergencySwitch

app = typer.Typer(no_args_is_help=True, help="Emergency mode: nothing is paid, and no database is needed.")

TIMEOUT_S = 3.0
"""How long a database that may be away is waited for, and Redis."""


@app.command("on")
def on(reason: ReasonOption, as_name: AsOption = None, data: DataOption = None) -> None:
    """Switch emergency mode on. Works while the database does not answer.

    Nothing is paid, webhooks go to the spill, and the API reads from what it knew last. Within a second.
    """
    from payouts.emergency import switch_on

    with _switching(data, as_name) as here:
        switch_on(here.switch, here.by, reason, IdMaker(), now_ms())
        say("emergency mode is on: nothing is paid; `payouts emergency off` ends it")
        here.write_notes()


@app.command("off")
def off(reason: ReasonOption, as_name: AsOption = None, data: DataOption = None) -> None:
    """Switch it off: payouts are sent again, and the scheduler drains what was spilled."""
    from payouts.emergency import switch_off

    with _switching(data, as_name) as here:
        switch_off(here.switch, here.by, reason, IdMaker(), now_ms())
        if here.settings.enable_mock_data:
            say(f"the switch is off, but {SETTING}=true still holds emergency mode: {_HOW_OFF}")
        else:
            say("emergency mode is off; what was spilled is drained by the scheduler")
        here.write_notes()


@app.command("show")
def show(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show whether it is on, and what waits in Redis for the database. Asks no database."""
    from payouts.storage.spill import Spill
    from payouts.stores import open_emergency_switch, open_redis

    settings = settings_of(data)
    with open_redis(settings, TIMEOUT_S) as client:
        switch = open_emergency_switch(settings, client)
        held, notes = switch.read(), len(switch.notes())
        spilled = Spill(client, settings.redis_spill, settings.queue_namespace).waiting()
    if as_json:
        on = held is not None or settings.enable_mock_data
        about = {"since_ms": held and held.since_ms, "by": held and held.by, "reason": held and held.reason}
        waiting = {"spilled": spilled, "notes": notes}
        write_json({"on": on, "by_setting": settings.enable_mock_data, **about, **waiting})
        return
    if settings.enable_mock_data:
        say(f"emergency mode is on by {SETTING}=true: {_HOW_OFF}")
    if held is not None:
        say(f"emergency mode is on since {short_time(held.since_ms)} by {held.by}: {held.reason}")
    elif not settings.enable_mock_data:
        say("emergency mode is off")
    say(f"{spilled} events wait in Redis, {notes} entries for the audit log")


def mode(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show the mode of the service: normal, or what keeps payouts from being sent, the gravest first."""
    import redis

    from payouts.bootstrap import open_modes
    from payouts.logs import configure_logging
    from payouts.stores import open_emergency_switch, open_engine, open_redis

    configure_logging("error", "console")  # what this command has to say, it prints itself
    settings = settings_of(data)
    engine = open_engine(_impatient(settings))
    try:
        with open_redis(settings, TIMEOUT_S) as client:
            try:
                open_emergency_switch(settings, client).read()
            except redis.RedisError:
                err().print(_UNKNOWN, markup=False, soft_wrap=True)
            found = open_modes(settings, engine, client).all_now()
    finally:
        engine.dispose()
    for each in found:
        if as_json:
            write_json(asdict(each))
            continue
        since = f" since {short_time(each.since_ms)}" if each.since_ms is not None else ""
        say(f"{each.mode}{since}" + (f" by {each.by}: {each.reason}" if each.by else ""))


_UNKNOWN = "Redis does not answer: whether emergency mode is switched on is not known"
_HOW_OFF = "take it out of the settings of receivers, workers and API, and start them again"


@dataclass(frozen=True, slots=True)
class _Switching:
    settings: "Settings"
    engine: "Engine"
    switch: "EmergencySwitch"
    by: "Actor | Unchecked"

    def write_notes(self) -> None:
        """Put what was done on record, or say that it cannot be now."""
        from sqlalchemy.exc import SQLAlchemyError

        from payouts.emergency import write_notes

        try:
            write_notes(self.engine, self.switch, IdMaker(), now_ms)
        except (SQLAlchemyError, OSError):
            say("the database does not answer: the entry in the audit log waits in Redis, and the")
            say("scheduler writes it once the database is back (`payouts emergency show` counts them)")


@contextmanager
def _switching(data: Path | None, as_name: str | None) -> Iterator[_Switching]:
    import redis

    from payouts.stores import open_emergency_switch, open_engine, open_redis

    settings = settings_of(data)
    engine = open_engine(_impatient(settings))
    try:
        by = _who(engine, token_of(data, as_name))
        with open_redis(settings, TIMEOUT_S) as client:
            yield _Switching(settings, engine, open_emergency_switch(settings, client), by)
    except redis.RedisError as error:
        raise StoreUnavailableError(
            f"Redis does not answer, and the switch is kept there ({error}): set {SETTING}=true for "
            "receivers, workers and API instead, and start them again"
        ) from None
    finally:
        engine.dispose()


def _who(engine: "Engine", token: str) -> "Actor | Unchecked":
    from sqlalchemy.exc import SQLAlchemyError

    from payouts.emergency_state import Unchecked
    from payouts.storage.engine import is_unavailable
    from payouts.storage.people_rows import look_up
    from payouts.tokens import digest_of

    try:
        return look_up(engine, token, now_ms())[0]
    except (SQLAlchemyError, OSError) as error:
        if not is_unavailable(error):
            raise
    say("the database does not answer: who you are is looked up when it does")
    return Unchecked(_login(), digest_of(token))


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user-{os.getuid()}"  # in a container, as a rule: nobody is named there


def _impatient(settings: "Settings") -> "Settings":
    timeout_s = min(settings.database_timeout_s, TIMEOUT_S)
    return settings.model_copy(update={"database_timeout_s": timeout_s})
