"""`payouts schedule …`: the runs that ask for payouts by themselves."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption
from console.doing import doing
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, short_time
from payouts.clock import now_ms
from payouts.due_days import Schedule
from payouts.ids import IdMaker
from payouts.money import format_money
from payouts.people import Scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.people import Actor

app = typer.Typer(no_args_is_help=True, help="Scheduled payouts: daily, weekly, monthly.")


@app.command("run")
def run(as_name: AsOption = None, data: DataOption = None) -> None:
    """Do now what the scheduler would: finish runs left open, then run today's. A day is run only once."""
    from payouts.audit import Entry
    from payouts.scheduling import Schedules
    from payouts.storage.audit_rows import append

    def note(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> Entry:
        return append(
            connection, make_id, at_ms, actor=actor.name, action="schedule.run", subject="schedules"
        )

    with doing(data, Scope.OPERATE, as_name) as doer:
        doer.do(note)
        Schedules(doer.engine, now_ms, doer.make_id).run()
    out().print("all runs up to today are done: `payouts schedule list` shows them", markup=False)


@app.command("list")
def list_runs(
    schedule: Annotated[Schedule | None, typer.Option()] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List runs, newest first, with what each came to."""
    from payouts.storage.batch_rows import batch_list

    columns = ("day", "schedule", "status", "partners", "requested", "skipped", "amount", "finished at")
    filters = make_filters({"schedule": schedule}, since, until, after)
    show(data, batch_list, filters, limit, as_json, columns, _cells)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    amounts = ", ".join(format_money(amount, currency) for currency, amount in row["amounts"].items())
    return (
        *(row["planned_for"], row["schedule"], row["status"], row["partners"], row["requested"]),
        *(row["skipped"], amounts or None, short_time(row["finished_at_ms"])),
    )
