"""`payouts notice …`: what others are told, what of it could not be delivered, and sending that again."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from
from console.doing import doing
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, print_table, short_time, table, write_json
from payouts.errors import NotFoundError, RefusedError
from payouts.notices import DeliveryStatus, NoticeStatus
from payouts.people import Scope
from payouts.request import public_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.ids import IdMaker
    from payouts.people import Actor

app = typer.Typer(no_args_is_help=True, help="What others are told.")

MAX_ROW_ID = 2**63 - 1

NoticeArgument = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=MAX_ROW_ID, help="As `payouts notice list` shows it.")
]

_COLUMNS = ("written at", "notice", "name", "account", "about", "status", "channels", "last error")


@app.command("list")
def list_notices(
    status: Annotated[NoticeStatus | None, typer.Option()] = None,
    name: Annotated[str | None, typer.Option(help="As payout.failed.")] = None,
    account: Annotated[str | None, typer.Option(help="acct_…, or platform.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List notices, newest first, with how far each channel is."""
    from payouts.storage.notice_queries import notice_list

    filters = make_filters({"status": status, "name": name, "account": account}, since, until, after)
    show(data, notice_list, filters, limit, as_json, _COLUMNS, _cells)


@app.command("show")
def show_notice(notice: NoticeArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show one notice: what it says, and what each channel made of it."""
    from payouts.storage.notice_queries import notice as find

    with reading_from(data) as connection:
        found = find(connection, notice)
    if found is None:
        raise NotFoundError(f"there is no notice {notice}: `payouts notice list` shows them")
    if as_json:
        write_json({**found, "body": json.loads(found["body"])})
        return
    facts = [
        *(("notice", found["id"]), ("name", found["name"]), ("account", found["account"])),
        *(("about", _about(found)), ("status", found["status"])),
        *(
            ("written", short_time(found["created_at_ms"])),
            ("delivered", short_time(found["delivered_at_ms"])),
        ),
    ]
    print_table(table(("", ""), facts))
    rows = [
        (d["channel"], d["status"], d["attempts"], _when(d), d["last_error"]) for d in found["deliveries"]
    ]
    print_table(table(("channel", "status", "tries", "delivered or due", "last error"), rows))
    out().print(json.dumps(json.loads(found["body"]), indent=2, ensure_ascii=False), markup=False)


@app.command("test")
def send_test(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is told with the test.")],
    critical: Annotated[bool, typer.Option("--critical", help="Also call whoever is on call.")] = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Tell operators and the portal of a test, to see that it arrives. Partners get nothing."""
    from payouts.trying import try_channels

    def work(connection: "Connection", actor: "Actor", make_id: "IdMaker", at_ms: int) -> str:
        return try_channels(connection, actor, reason, make_id, at_ms, critical=critical)

    with doing(data, Scope.OPERATE, as_name) as doer:
        name = doer.do(work)
    out().print(f"{name} is on its way: `payouts notice list --name {name}` shows how far", markup=False)


@app.command("retry")
def retry(
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays on record.")],
    notice: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=MAX_ROW_ID, help="One that is dead.")
    ] = None,
    all_dead: Annotated[bool, typer.Option("--all", help="All that are dead, instead of one.")] = False,
    channel: Annotated[str | None, typer.Option(help="By this channel only, as portal.")] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Send again what is dead, by the channels that never took it."""
    from payouts.retelling import tell_again, tell_dead_again

    if all_dead == (notice is not None):
        raise RefusedError("bad_retry", "say what to send again: either a notice's ID or --all")
    count, behind = 0, 0

    def one(connection: "Connection", actor: "Actor", make_id: "IdMaker", at_ms: int) -> int:
        return len(tell_again(connection, notice or 0, channel, actor, reason, make_id, at_ms))

    def step(
        connection: "Connection", actor: "Actor", make_id: "IdMaker", at_ms: int
    ) -> tuple[int, int | None]:
        return tell_dead_again(connection, behind, channel, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        if notice is not None:
            count = doer.do(one)
        while all_dead:
            done, next_behind = doer.do(step)
            count += done
            if next_behind is None:
                break
            behind = next_behind
    if count:
        out().print(f"{count} {'delivery is' if count == 1 else 'deliveries are'} due again")
    else:
        out().print("nothing is dead" + (f" by {channel}" if channel else ""), markup=False)


def _about(row: dict[str, Any]) -> str | None:
    if row["request_id"] is not None:
        return public_id(row["request_id"])
    return None if row["payout_id"] is None else str(row["payout_id"])


def _when(delivery: dict[str, Any]) -> str | None:
    if delivery["status"] == DeliveryStatus.PENDING:
        return short_time(delivery["due_at_ms"])
    return short_time(delivery["delivered_at_ms"])


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    channels = ", ".join(f"{d['channel']}: {d['status']}" for d in row["deliveries"]) or None
    open_ = [d for d in row["deliveries"] if d["status"] != DeliveryStatus.DELIVERED]
    error = next((d["last_error"] for d in open_ if d["last_error"]), None)
    return (
        *(short_time(row["created_at_ms"]), row["id"], row["name"], row["account"], _about(row)),
        *(row["status"], channels, error),
    )
