"""`payouts payout shadowed`: what shadow mode decided, to lay beside what the system before has paid."""

from typing import Annotated, Any

import typer

from console.context import DataOption, JsonOption, reading_from
from console.exporting import CsvOption, print_csv
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, pages, show
from console.output import short_time
from payouts.errors import RefusedError
from payouts.money import format_money
from payouts.request import public_id

_COLUMNS = ("requested at", "decided at", "payout", "reference", "partner", "amount", "would have called")


def shadowed(
    partner: Annotated[str | None, typer.Option(help="Its reference, its acct_…, or its row id.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_csv: CsvOption = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what shadow mode would have sent, by when it was requested, newest first."""
    from payouts.registering import the_partner
    from payouts.shadow import SHADOW_COLUMNS, calls_of, shadow_rows
    from payouts.storage.request_queries import shadowed_list

    if as_csv and (after is not None or limit is not None):
        raise RefusedError("bad_option", "--csv takes --partner, --since and --until only: it is whole")
    account = None
    if partner is not None:
        with reading_from(data) as connection:
            account = the_partner(connection, partner).account
    filters = make_filters({"account": account}, since, until, after)
    if as_csv:
        with reading_from(data) as connection:
            print_csv(SHADOW_COLUMNS, shadow_rows(pages(connection, shadowed_list, filters, None)))
        return

    def fetch(*asked: Any) -> list[dict[str, Any]]:
        return [
            {**row, "payout": public_id(row["id"]), "calls": calls_of(row)} for row in shadowed_list(*asked)
        ]

    show(data, fetch, filters, limit, as_json, _COLUMNS, _cells)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["created_at_ms"]), short_time(row["decided_at_ms"]), row["payout"]),
        *(row["reference"], row["partner"], format_money(row["amount_minor"], row["currency"])),
        ", ".join(row["calls"]),
    )
