"""`payouts replay …`: see what a replay would change, ask for it, and follow it."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from, settings_of
from console.doing import doing
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import err, print_table, say, short_time, table, write_json
from console.previewing import print_preview, write_preview
from console.request_commands import ReasonOption
from console.selecting import (
    AccountOption,
    ErrorOption,
    EventsArgument,
    GroupOption,
    ObjectOption,
    StatusOption,
    TypeOption,
    selection_of,
)
from payouts.errors import NotFoundError, RefusedError
from payouts.people import Scope
from payouts.replay import OPEN_REPLAY_STATUSES, RATE_PER_S, ItemOutcome, ReplayStatus, replay_id_of

if TYPE_CHECKING:
    from payouts.replay import Replay, Selection
    from payouts.storage.replay_rows import Selected
    from payouts.what_if import Change

app = typer.Typer(no_args_is_help=True, help="Events run once more, on purpose and on record.")

_COLUMNS = (
    "asked at",
    "replay",
    "status",
    "events",
    "done",
    "applied",
    "unchanged",
    "waiting",
    "failed",
    "by",
    "why",
)
ReplayArgument = Annotated[str, typer.Argument(metavar="REPLAY", help="As rep_….")]
RateOption = Annotated[int, typer.Option("--rate", min=0, help="Events a second at the most; 0: no limit.")]


@app.command("start")
def start(
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why; for the record. Not for a --dry-run.")
    ] = None,
    events: EventsArgument = None,
    group: GroupOption = None,
    status: StatusOption = None,
    type_: TypeOption = None,
    account: AccountOption = None,
    object_: ObjectOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    rate: RateOption = RATE_PER_S,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would change.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Don't show what it would change first, and don't ask.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Replay events: all that fit every option. For more than one, it is first shown what would change.

    With --wait it ends with 1 where an event failed, or not all had their turn.

    What failed and what went well may both be replayed; what is right already stays as it is.
    """
    from payouts.replaying import ask

    wanted = selection_of(events, group, status, type_, account, object_, error, since, until)
    if dry_run:
        _preview(data, wanted, as_json)
        return
    if reason is None:
        raise RefusedError("reason_missing", "say why by --reason, or only look by --dry-run")
    _require_all(data, wanted)
    if not yes and len(wanted.events) != 1 and not _agreed(data, wanted):
        raise typer.Exit(1)
    with doing(data, Scope.OPERATE, as_name) as doer:
        replay = doer.do(
            lambda connection, actor, make_id, at_ms: ask(
                connection, wanted, actor, reason, make_id, at_ms, rate
            )
        )
    if as_json:
        _print_one(data, replay.id, as_json=True)
    else:
        say(f"{replay.public_id}: `payouts replay show {replay.public_id}` says how it goes")
    if wait:
        _follow(data, replay.id)
        ended = _find(data, replay.id)
        if not as_json:
            _print_one(data, replay.id, as_json=False)
        if ended.failed or ended.done < ended.total:
            raise typer.Exit(1)


@app.command("list")
def list_replays(
    status: Annotated[ReplayStatus | None, typer.Option()] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List replays, newest first."""
    from payouts.storage.replay_rows import replay_list

    filters = make_filters({"status": status}, since, until, after)
    show(data, replay_list, filters, limit, as_json, _COLUMNS, _cells)


@app.command("show")
def show_replay(
    replay: ReplayArgument,
    events: Annotated[bool, typer.Option("--events", help="Every event, with what came of it.")] = False,
    outcome: Annotated[ItemOutcome | None, typer.Option(help="Only events that came to this.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end first.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show one replay: who asked for it and why, how far it is, and what came of its events."""
    replay_id = replay_id_of(replay)
    if wait:
        _follow(data, replay_id)
    _print_one(data, replay_id, as_json=as_json)
    if events or outcome is not None:
        _print_events(data, replay_id, [outcome] if outcome else [], as_json)


@app.command("confirm")
def confirm(replay: ReplayArgument, as_name: AsOption = None, data: DataOption = None) -> None:
    """Confirm a large replay that another person asked for; it begins."""
    from payouts.replaying import confirm as confirm_it

    changed = _do(data, Scope.APPROVE, as_name, replay, confirm_it)
    say(f"{changed.public_id} begins: {changed.total} events")


@app.command("pause")
def pause(
    replay: ReplayArgument, reason: ReasonOption, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Pause a replay that runs. `payouts replay resume` goes on with it."""
    from payouts.replaying import pause as pause_it

    changed = _do(data, Scope.OPERATE, as_name, replay, pause_it, reason=reason)
    say(f"{changed.public_id} is paused after {changed.done} of {changed.total} events")


@app.command("resume")
def resume(replay: ReplayArgument, as_name: AsOption = None, data: DataOption = None) -> None:
    """Go on with a paused replay."""
    from payouts.replaying import resume as resume_it

    changed = _do(data, Scope.OPERATE, as_name, replay, resume_it)
    say(f"{changed.public_id} goes on: {changed.total - changed.done} events are left")


@app.command("rate")
def rate(
    replay: ReplayArgument,
    per_s: Annotated[int, typer.Argument(metavar="PER_SECOND", min=0, help="0: no limit.")],
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Change how fast a replay runs, at once."""
    from payouts.replaying import set_rate

    changed = _do(data, Scope.OPERATE, as_name, replay, set_rate, rate_per_s=per_s)
    what = f"{per_s} events a second at the most" if per_s else "as fast as live events leave room"
    say(f"{changed.public_id} runs at {what}")


@app.command("cancel")
def cancel(
    replay: ReplayArgument, reason: ReasonOption, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Call a replay off. Events that had their turn stay as they are."""
    from payouts.replaying import cancel as cancel_it

    changed = _do(data, Scope.OPERATE, as_name, replay, cancel_it, reason=reason)
    say(f"{changed.public_id} is canceled after {changed.done} of {changed.total} events")


def _do(
    data: Path | None, scope: Scope, as_name: str | None, key: str, verb: "Callable[..., Replay]", **more: Any
) -> "Replay":
    replay_id = replay_id_of(key)
    with doing(data, scope, as_name) as doer:
        return doer.do(
            lambda connection, actor, make_id, at_ms: verb(
                connection, replay_id, actor=actor, make_id=make_id, now_ms=at_ms, **more
            )
        )


def _require_all(data: Path | None, wanted: "Selection") -> None:
    from payouts.storage.replay_rows import require_named

    with reading_from(data) as connection:
        require_named(connection, wanted)


def _preview(data: Path | None, wanted: "Selection", as_json: bool) -> None:
    events, more, changes = _tried(data, wanted)
    if as_json:
        write_preview(changes)
    else:
        print_preview(changes, len(events), more)


def _tried(data: Path | None, wanted: "Selection") -> "tuple[list[Selected], bool, list[Change]]":
    """What is selected, whether there is more than can be tried at once, and what would change.

    NotFoundError where something is named that is not there, or nothing fits.
    """
    from rich.progress import track

    from console.context import engine_of
    from payouts.bootstrap import open_what_if
    from payouts.storage.queries import reading
    from payouts.storage.replay_rows import newest_id, require_named

    with engine_of(data) as engine:
        what_if = open_what_if(settings_of(data), engine)
        with reading(engine) as connection:
            require_named(connection, wanted)
            until_id = newest_id(connection)
        events, more = what_if.select(wanted, until_id)
        if not events:
            raise NotFoundError(f"no event fits: {wanted}. `payouts event list` shows what is in the inbox")
        changes = what_if.preview(events)
        groups = len({event.object_id or event.event_id for event in events})
        shown = track(changes, "trying", groups, console=err(), transient=True, disable=not err().is_terminal)
        return events, more, list(shown)


def _agreed(data: Path | None, wanted: "Selection") -> bool:
    """Show what would change, then ask."""
    events, more, changes = _tried(data, wanted)
    print_preview(changes, len(events), more)
    if not sys.stdin.isatty():
        raise RefusedError("not_confirmed", "this is what it would change: say --yes to replay it")
    return typer.confirm(f"Replay {'these and more' if more else len(events)} events?")


def _follow(data: Path | None, replay_id: int) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as progress:
        task = progress.add_task("replaying", total=None)
        while True:
            found = _find(data, replay_id)
            if found.status not in OPEN_REPLAY_STATUSES:
                return
            if found.status == ReplayStatus.AWAITING_CONFIRMATION:
                command = f"payouts replay confirm {found.public_id}"
                text = f"{found.total} events: a second person confirms it by `{command}`"
                raise RefusedError("not_confirmed", text)
            progress.update(task, total=found.total or None, completed=found.done, description=found.status)
            time.sleep(_FOLLOW_EVERY_S)


def _find(data: Path | None, replay_id: int) -> "Replay":
    from payouts.storage.replay_rows import find_replay

    with reading_from(data) as connection:
        found = find_replay(connection, replay_id)
    if found is None:
        raise NotFoundError(f"there is no replay {replay_id}: `payouts replay list` shows them")
    return found


def _print_one(data: Path | None, replay_id: int, *, as_json: bool) -> None:
    import dataclasses

    from payouts.replay import Selection
    from payouts.storage.replay_rows import details_of

    found = _find(data, replay_id)
    with reading_from(data) as connection:
        details = details_of(connection, replay_id)
    selection = Selection.from_json(found.selection)
    if as_json:
        write_json(
            {
                **dataclasses.asdict(found),
                "public_id": found.public_id,
                "selection": str(selection),
                "outcomes": [dict(detail) for detail in details],
            }
        )
        return
    rate = f"{found.rate_per_s} a second" if found.rate_per_s else "no limit"
    ended = (
        f"{short_time(found.ended_at_ms)} by {found.ended_by}"
        if found.ended_by
        else short_time(found.ended_at_ms)
    )
    facts = [
        *(("replay", found.public_id), ("status", found.status), ("events", str(selection))),
        *(("why", found.reason), ("asked by", f"{found.requested_by}, {short_time(found.created_at_ms)}")),
        *(("confirmed by", found.confirmed_by), ("code", found.version), ("rate", rate)),
        *(("done", f"{found.done} of {found.total}"), ("ended", ended), ("trouble", found.trouble)),
    ]
    print_table(table(("", ""), facts))
    if details:
        rows = [(detail["outcome"], detail["events"], detail["detail"]) for detail in details]
        print_table(table(("outcome", "events", "because"), rows))


def _print_events(data: Path | None, replay_id: int, outcomes: Sequence[ItemOutcome], as_json: bool) -> None:
    from payouts.storage.replay_rows import item_list

    columns = ("event", "type", "object", "before", "outcome", "because", "now", "code")
    after = -1
    with reading_from(data) as connection:
        while True:
            rows = item_list(connection, replay_id, after, _PAGE, outcomes)
            connection.rollback()
            if as_json:
                for row in rows:
                    write_json(row)
            elif rows:
                print_table(table(columns, [_event_cells(row) for row in rows]))
            if len(rows) < _PAGE:
                return
            after = rows[-1]["inbox_id"]


def _event_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(row["event_id"], row["type"], row["object_id"], row["status_before"], row["outcome"]),
        *(row["detail"], row["status_now"], row["version"]),
    )


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    counts = Counter({name: row[name] for name in ("applied", "unchanged", "waiting", "failed")})
    return (
        *(short_time(row["created_at_ms"]), f"rep_{row['id']}", row["status"], row["total"], counts.total()),
        *(counts["applied"], counts["unchanged"], counts["waiting"], counts["failed"]),
        *(row["requested_by"], row["reason"]),
    )


_PAGE = 500
_FOLLOW_EVERY_S = 0.3
