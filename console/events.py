"""`payouts event …`: what came in, and what came of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from, settings_of
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, print_table, short_time, table, write_json
from payouts.errors import NotFoundError, PayloadUnavailableError
from payouts.people import Scope
from payouts.redaction import redact_payload
from payouts.sealing import SEALED, archive_file_of
from payouts.states import EventStatus

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(no_args_is_help=True, help="Events in the inbox.")

_COLUMNS = ("received", "event", "type", "account", "object", "status", "tries", "came", "reason or error")


@app.command("list")
def list_events(
    status: Annotated[EventStatus | None, typer.Option()] = None,
    type_: Annotated[str | None, typer.Option("--type")] = None,
    account: Annotated[str | None, typer.Option(help="acct_…, or platform.")] = None,
    object_: Annotated[str | None, typer.Option("--object", help="The object's id, as po_….")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List events, newest first."""
    from payouts.storage.event_queries import events

    equal = {"status": status, "type": type_, "account": account, "object_id": object_}
    show(data, events, make_filters(equal, since, until, after), limit, as_json, _COLUMNS, _cells)


@app.command("show")
def show_event(
    key: Annotated[str, typer.Argument(metavar="ID", help="evt_…, or the row id.")],
    payload: Annotated[
        bool,
        typer.Option("--payload", help="Show what Stripe sent, without what it says of people and banks."),
    ] = False,
    unredacted: Annotated[
        bool, typer.Option("--unredacted", help="Show all that Stripe sent: for admins, and it is on record.")
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where attempts failed.")] = False,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Show one event: its deliveries, failed attempts, and what it changed."""
    from payouts.storage.event_queries import event

    with reading_from(data) as connection:
        found = event(connection, key)
        if found is None:
            raise NotFoundError(
                f"there is no event {key}: `payouts event list` shows what came in, "
                "`payouts catch-up` fetches from Stripe what did not"
            )
        stored = found.pop("payload")
        found["payload_kept"] = _kept(stored)
        if payload or unredacted or as_json:
            found |= _opened(connection, data, found["id"], stored)
    sent: bytes | None = found.get("payload")
    if unredacted:
        _put_on_record(data, found, as_name)
    elif sent is not None:
        found["payload"] = redact_payload(sent)
    if as_json:
        write_json(found)
        return
    _print(found, traceback)


def _kept(stored: bytes) -> str:
    if archive_file_of(stored) is not None:
        return "archive"
    return "sealed" if stored[:2] == SEALED else "plain"


def _opened(connection: "Connection", data: Path | None, inbox_id: int, stored: bytes) -> dict[str, Any]:
    from payouts.bootstrap import open_payloads

    try:
        return {"payload": open_payloads(settings_of(data)).open(connection, inbox_id, stored)}
    except PayloadUnavailableError as error:
        return {"payload": None, "payload_missing": str(error)}  # all else of the event can still be shown


def _put_on_record(data: Path | None, found: dict[str, Any], as_name: str | None) -> None:
    """Raises RefusedError where whoever asks may not see it. What nobody noted nobody is shown."""
    from console.doing import doing
    from payouts.storage import audit_rows

    with doing(data, Scope.ADMIN, as_name) as doer:
        doer.do(
            lambda connection, actor, make_id, at_ms: audit_rows.append(
                *(connection, make_id, at_ms),
                actor=actor.name,
                action="event.unredacted",
                subject=f"event:{found['event_id']}",
                account=found["account"],
            )
        )


def _print(found: dict[str, Any], traceback: bool) -> None:
    screen = out()
    facts = [
        *(("event", found["event_id"]), ("type", found["type"]), ("account", found["account"])),
        *(("object", found["object_id"]), ("status", found["status"]), ("reason", found["reason"])),
        *(("last error", found["last_error"]), ("received", short_time(found["received_at_ms"]))),
        *(("processed", short_time(found["processed_at_ms"])), ("failed attempts", found["attempts"])),
        *(("source", found["source"]), ("signed with", found["secret"]), ("row id", found["id"])),
        *(("API version", found["api_version"]), ("deliveries", found["deliveries"])),
        ("payload", found["payload_kept"]),
    ]
    print_table(table(("", ""), facts))
    again = [
        (short_time(d["received_at_ms"]), d["kind"], d["source"], d["secret"])
        for d in found["deliveries_again"]
    ]
    if again:
        print_table(table(("delivered again", "as", "source", "signed with"), again))
    moves = [(m["stripe_id"], m["from_status"], m["to_status"], m["reason"]) for m in found["transitions"]]
    if moves:
        print_table(table(("changed", "from", "to", "reason"), moves))
    if found["postings"]:
        posted = [(p["reference"], p["kind"], p["description"]) for p in found["postings"]]
        print_table(table(("posted", "what", "description"), posted))
    if found["notices"]:
        print_table(table(("told", "how far"), [(n["name"], n["status"]) for n in found["notices"]]))
    attempts = [
        (a["attempt"], short_time(a["at_ms"]), a["worker"], a["version"], f"{a['error_class']}: {a['error']}")
        for a in found["failed_attempts"]
    ]
    if attempts:
        print_table(table(("attempt", "failed at", "worker", "version", "error"), attempts))
    replayed = [
        (
            f"rep_{r['replay_id']}",
            r["requested_by"],
            r["reason"],
            r["status_before"],
            r["outcome"],
            r["detail"],
        )
        for r in found["replays"]
    ]
    if replayed:
        print_table(table(("replay", "by", "why", "before", "outcome", "because"), replayed))
    if found["dismissed"]:
        ignored = found["dismissed"]
        cells = (short_time(ignored["dismissed_at_ms"]), ignored["dismissed_by"], ignored["reason"])
        print_table(table(("ignored at", "by", "why"), [cells]))
    if traceback:
        for attempt in found["failed_attempts"]:
            screen.print(attempt["traceback"], markup=False)
    if "payload_missing" in found:
        screen.print(f"the payload is not at hand: {found['payload_missing']}", markup=False)
    elif "payload" in found:
        screen.print(_pretty(found["payload"]), markup=False)


def _pretty(body: str | bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return repr(body)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    said = row["last_error"] if row["status"] in (EventStatus.DEAD, EventStatus.RETRYING) else row["reason"]
    return (
        *(short_time(row["received_at_ms"]), row["event_id"], row["type"], row["account"], row["object_id"]),
        *(row["status"], row["attempts"] or None, f"{row['deliveries']}×", said),
    )
