"""`payouts maintenance`: announced, started, ended or called off."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from, settings_of
from console.doing import doing
from console.output import parse_time_to_come, print_table, say, short_time, table, write_json
from console.request_commands import ReasonOption
from payouts.clock import iso, now_ms
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.people import Scope
from payouts.window import SETTING

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from payouts.people import Actor
    from payouts.window import Window

app = typer.Typer(no_args_is_help=True, help="Maintenance: while it is started nothing is sent.")

_SHOWN = 10
StartOption = Annotated[str, typer.Option(help="As 2026-12-01T22:00Z, or 24h from now.")]
EndOption = Annotated[str, typer.Option(help="As 2026-12-01T23:00Z, or 25h from now.")]
TextOption = Annotated[str, typer.Option(help="What those are told who use the portal.")]


@app.command("announce")
def announce(
    start: StartOption, end: EndOption, text: TextOption, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Announce maintenance: the portal can show it from now on. Nothing is stopped by it."""
    from payouts import maintenance

    times = parse_time_to_come(start), parse_time_to_come(end)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Window":
        return maintenance.announce(connection, *times, text, actor, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        window = doer.do(work)
    say(f"maintenance is announced, {window.span}; `payouts maintenance start` starts it")


@app.command("change")
def change(
    reason: ReasonOption,
    start: Annotated[str | None, typer.Option(help="Its new start, while it is not started.")] = None,
    end: Annotated[str | None, typer.Option(help="Its new end.")] = None,
    text: Annotated[str | None, typer.Option(help="What people are told from now on.")] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Change what is announced. Once it is started, its end and its text alone."""
    from payouts import maintenance

    starts_at_ms, ends_at_ms = (None if each is None else parse_time_to_come(each) for each in (start, end))

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Window":
        return maintenance.change(
            *(connection, _open_id(connection), actor, reason, make_id, at_ms),
            starts_at_ms=starts_at_ms,
            ends_at_ms=ends_at_ms,
            text=text,
        )

    with doing(data, Scope.OPERATE, as_name) as doer:
        window = doer.do(work)
    say(f"it is now {window.span}: {window.text}")


@app.command("start")
def start(
    reason: ReasonOption,
    until: Annotated[
        str | None, typer.Option(help="Where nothing was announced: its end, as 2h from now.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Where nothing was announced: what people are told.")
    ] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Start it: nothing is sent, and the portal's API answers 503, until it is ended.

    Requests wait, webhooks are taken and applied. What Stripe has already goes on.
    """
    from payouts import maintenance
    from payouts.storage.maintenance_rows import open_window

    until_ms = None if until is None else parse_time_to_come(until)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Window":
        if open_window(connection) is None:
            if until_ms is None or text is None:
                raise NotFoundError("no maintenance is announced: to start at once, say --until and --text")
            return maintenance.start_at_once(connection, until_ms, text, actor, reason, make_id, at_ms)
        if until_ms is not None or text is not None:
            raise RefusedError(
                "maintenance_open", "--until and --text are for what was not announced: change this one first"
            )
        return maintenance.start(connection, _open_id(connection), actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        window = doer.do(work)
    say(f"nothing is sent any more, announced until {iso(window.ends_at_ms)}")
    say("`payouts maintenance end` ends it: it does not end by itself")


@app.command("end")
def end(reason: ReasonOption, as_name: AsOption = None, data: DataOption = None) -> None:
    """End it: what waited is sent. Only while it is started."""
    from payouts import maintenance

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Window":
        return maintenance.end(connection, _open_id(connection), actor, reason, make_id, at_ms)

    if _by_setting(data):
        say(f"{SETTING}=true holds maintenance, whatever is ended here: {_HOW_OFF}")
    with doing(data, Scope.OPERATE, as_name) as doer:
        doer.do(work)
        woken = 0 if _by_setting(data) else maintenance.wake(doer.engine, now_ms)
    say("the maintenance is over" if _by_setting(data) else f"payouts are sent again; {woken} waited")


@app.command("call-off")
def call_off(reason: ReasonOption, as_name: AsOption = None, data: DataOption = None) -> None:
    """Call off what was announced. Only while it is not started."""
    from payouts import maintenance

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Window":
        return maintenance.call_off(connection, _open_id(connection), actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        window = doer.do(work)
    say(f"the maintenance of {window.span} is called off")


@app.command("show")
def show(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show what is announced or going on, and the last ones."""
    from payouts.storage.maintenance_rows import window_list
    from payouts.storage.queries import Filters

    with reading_from(data) as connection:
        rows = window_list(connection, Filters({}), _SHOWN)
    if as_json:
        for row in rows:
            write_json({name: value for name, value in row.items() if name != "open_key"})
        return
    if _by_setting(data):
        say(f"maintenance is on by {SETTING}=true: {_HOW_OFF}")
    if not rows:
        say("no maintenance was ever announced")
        return
    columns = ("id", "state", "starts", "ends", "text", "announced by", "started", "over")
    print_table(table(columns, [_cells(row) for row in rows]))


_HOW_OFF = "take it out of the settings of workers and API, and start them again"


def _by_setting(data: "Path | None") -> bool:
    return settings_of(data).maintenance_mode


def _open_id(connection: "Connection") -> int:
    from payouts.storage.maintenance_rows import open_window

    window = open_window(connection)
    if window is not None:
        return window.id
    raise NotFoundError("no maintenance is announced or started")


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    started = over = None
    if row["started_at_ms"]:
        started = f"{short_time(row['started_at_ms'])} by {row['started_by']}: {row['start_reason']}"
    if row["over_at_ms"]:
        over = f"{short_time(row['over_at_ms'])} by {row['over_by']}: {row['over_reason']}"
    return (
        *(str(row["id"]), row["state"], short_time(row["starts_at_ms"]), short_time(row["ends_at_ms"])),
        *(row["text"], row["announced_by"], started, over),
    )
