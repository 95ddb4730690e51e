"""`payouts payout …`: where each payout stands, and how it came there."""

from typing import Annotated, Any

import typer

from console.context import DataOption, JsonOption, reading_from
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import print_table, short_time, table, write_json
from payouts.errors import NotFoundError
from payouts.failures import classify
from payouts.money import format_money
from payouts.states import PayoutStatus

app = typer.Typer(no_args_is_help=True, help="Payouts and their states.")

_COLUMNS = ("first seen", "payout", "account", "amount", "status", "failure", "origin")


@app.command("list")
def list_payouts(
    status: Annotated[PayoutStatus | None, typer.Option()] = None,
    account: Annotated[str | None, typer.Option(help="acct_…, or platform.")] = None,
    currency: Annotated[str | None, typer.Option(help="As eur.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List payouts, newest first."""
    from payouts.storage.queries import payout_list

    equal = {"status": status, "account": account, "currency": currency.lower() if currency else None}
    show(data, payout_list, make_filters(equal, since, until, after), limit, as_json, _COLUMNS, _cells)


@app.command("show")
def show_payout(
    key: Annotated[str, typer.Argument(metavar="ID", help="po_…, or the row id.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show one payout: its facts, transitions, events, and what others are told of it."""
    from payouts.storage.queries import payout

    with reading_from(data) as connection:
        found = payout(connection, key)
    if found is None:
        raise NotFoundError(f"there is no payout {key}")
    if as_json:
        write_json(found)
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    arrival = found["arrival_date_s"]
    failure = found["failure_code"]
    facts = [
        *(("payout", found["stripe_id"]), ("account", found["account"])),
        *(("amount", format_money(found["amount_minor"], found["currency"])), ("status", _status(found))),
        *(("origin", found["origin"]), ("destination", found["destination"]), ("method", found["method"])),
        ("arrives", short_time(arrival * 1000) if arrival is not None else None),
        ("failure", f"{failure} ({classify(failure)})" if failure else None),
        *(("reversed by", found["reversed_by"]), ("reverses", found["original_payout"])),
        *(("trace id", found["trace_id"]), ("row id", found["id"])),
    ]
    print_table(table(("", ""), facts))
    moves = [
        (short_time(m["at_ms"]), m["from_status"], m["to_status"], m["event_id"], m["reason"])
        for m in found["transitions"]
    ]
    print_table(table(("changed at", "from", "to", "by event", "reason"), moves))
    seen = [
        (
            short_time(e["received_at_ms"]),
            e["event_id"],
            e["type"],
            e["status"],
            e["reason"] or e["last_error"],
        )
        for e in found["events"]
    ]
    print_table(table(("received at", "event", "type", "status", "reason or error"), seen))
    told = [(short_time(o["created_at_ms"]), o["name"], o["status"]) for o in found["outbox"]]
    print_table(table(("written at", "outbox", "status"), told))


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["created_at_ms"]), row["stripe_id"], row["account"]),
        *(
            format_money(row["amount_minor"], row["currency"]),
            _status(row),
            row["failure_code"],
            row["origin"],
        ),
    )


def _status(row: dict[str, Any]) -> str | None:
    if row["unknown_status"]:
        return f"{row['status'] or 'none yet'} (Stripe says {row['unknown_status']!r}, unknown here)"
    status: str | None = row["status"]
    return status
