"""`payouts dead …`: events that failed, by their causes; ignoring them, and taking that back."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from
from console.deciding import Decision, decide
from console.doing import doing
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import print_table, say, short_time, table, write_json
from console.request_commands import ReasonOption
from console.selecting import (
    AccountOption,
    ErrorOption,
    EventsArgument,
    GroupOption,
    TypeOption,
    selection_of,
)
from payouts.errors import NotFoundError, RefusedError
from payouts.people import Scope
from payouts.replay import Selection
from payouts.states import EventStatus

app = typer.Typer(no_args_is_help=True, help="Events that failed, by the cause of their failure.")

_GROUP_COLUMNS = (
    "group",
    "dead",
    "retrying",
    "ignored",
    "types",
    "first seen",
    "last seen",
    "place",
    "error",
)
_LIST_COLUMNS = ("failed", "event", "type", "account", "object", "status", "group", "error")


@app.command("groups")
def list_groups(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show the causes of the events that stand failed now: the largest first."""
    from payouts.storage.dead_queries import groups

    with reading_from(data) as connection:
        found = groups(connection)
    if as_json:
        for group in found:
            write_json(group)
        return
    print_table(table(_GROUP_COLUMNS, [_group_cells(group) for group in found]))
    if not found:
        say("nothing stands failed")


@app.command("show")
def show_group(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="As `payouts dead groups` shows it.")],
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where the newest attempt failed.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show one cause: how many events of which types and accounts, and its newest attempt."""
    from payouts.storage.dead_queries import group as find_group

    with reading_from(data) as connection:
        found = find_group(connection, group)
    if found is None:
        raise NotFoundError(f"there is no group {group[:40]}: `payouts dead groups` shows them")
    if as_json:
        write_json(found)
        return
    newest = found["newest_attempt"]
    facts = [
        *(("group", found["fingerprint"]), ("error", found["error_class"]), ("place", found["place"])),
        *(("message", found["message"]), ("example", found["example"])),
        *(("dead", found["dead"]), ("retrying", found["retrying"]), ("ignored", found["dismissed"])),
        *(("types", _counted(found["types"])), ("accounts", _counted(found["accounts"]))),
        ("first seen", f"{short_time(found['first_seen_ms'])}, version {found['first_version']}"),
        ("last seen", short_time(found["last_seen_ms"])),
    ]
    if newest is not None:
        who = f"attempt {newest['attempt']} by {newest['worker']}, version {newest['version']}"
        text = f"{newest['event_id']}, {who}"
        facts.append(("newest attempt", text))
    print_table(table(("", ""), facts))
    if traceback and newest is not None:
        say(newest["traceback"])


@app.command("list")
def list_failures(
    status: Annotated[EventStatus | None, typer.Option(help="dead, retrying or dismissed.")] = None,
    group: GroupOption = None,
    type_: TypeOption = None,
    account: AccountOption = None,
    object_: Annotated[str | None, typer.Option("--object", help="The object's id, as po_….")] = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List events that stand failed, newest first."""
    from payouts.storage.dead_queries import failure_list

    if group is not None:
        _require_known(data, Selection(fingerprint=group))
    equal = {"status": status, "fingerprint": group, "type": type_, "account": account, "object_id": object_}
    fetch = partial(failure_list, error=error)
    show(data, fetch, make_filters(equal, since, until, after), limit, as_json, _LIST_COLUMNS, _cells)


@app.command("ignore")
def ignore(
    reason: ReasonOption,
    events: EventsArgument = None,
    group: GroupOption = None,
    type_: TypeOption = None,
    account: AccountOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Ignore dead events, with a reason. They stay, and can be restored or replayed."""
    from payouts.dismissing import dismiss

    _require_some(events, group, type_, account, error, since, until)
    wanted = selection_of(events, group, EventStatus.DEAD, type_, account, None, error, since, until)
    done = _change(data, as_name, wanted, dismiss, reason)
    say(f"{done} ignored: `payouts dead restore` takes that back")


@app.command("restore")
def restore(
    reason: ReasonOption,
    events: EventsArgument = None,
    group: GroupOption = None,
    type_: TypeOption = None,
    account: AccountOption = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Take back `payouts dead ignore`: these events are dead again, and wait for a decision."""
    from payouts.dismissing import restore as take_back

    _require_some(events, group, type_, account)
    wanted = selection_of(events, group, EventStatus.DISMISSED, type_, account, None, None, None, None)
    done = _change(data, as_name, wanted, take_back, reason)
    say(f"{done} restored: they are dead, and wait for a decision")


def _require_some(*named: object) -> None:
    if not any(named):
        raise RefusedError(
            "no_selection", "say which events: by id, --group, --type, --account, --error or time"
        )


def _change(
    data: Path | None, as_name: str | None, wanted: Selection, decision: Decision, reason: str
) -> int:
    _require_known(data, wanted)
    with doing(data, Scope.OPERATE, as_name) as doer:
        return decide(doer.engine, doer.do, wanted, decision, reason)


def _require_known(data: Path | None, wanted: Selection) -> None:
    from payouts.storage.replay_rows import require_known

    with reading_from(data) as connection:
        require_known(connection, wanted)


def _group_cells(group: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(group["fingerprint"], group["dead"], group["retrying"], group["dismissed"]),
        *(_counted(group["types"]), short_time(group["first_seen_ms"]), short_time(group["last_seen_ms"])),
        *(group["place"], f"{group['error_class']}: {group['message']}"),
    )


def _counted(counts: dict[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} ({count})" for name, count in most[:_SHOWN])
    return shown if len(most) <= _SHOWN else f"{shown} and {len(most) - _SHOWN} more"


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["failed_at_ms"]), row["event_id"], row["type"], row["account"], row["object_id"]),
        *(
            row["status"],
            row["fingerprint"],
            row["error"] if row["reason"] is None else f"{row['reason']} ({row['error']})",
        ),
    )


_SHOWN = 3
