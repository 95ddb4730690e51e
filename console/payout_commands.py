"""`payouts payout …`: where each payout stands, how it came there, and what is done about it."""

from typing import Annotated, Any

import typer

from console import mending
from console.context import DataOption, JsonOption
from console.history import show_payout, stripe_status
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import short_time
from console.shadow import shadowed
from payouts.money import format_money
from payouts.states import PayoutStatus

app = typer.Typer(no_args_is_help=True, help="Payouts and their states.")
app.command("show")(show_payout)
app.command("shadowed")(shadowed)
app.add_typer(mending.app)

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


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["created_at_ms"]), row["stripe_id"], row["account"]),
        *(
            format_money(row["amount_minor"], row["currency"]),
            stripe_status(row),
            row["failure_code"],
            row["origin"],
        ),
    )
