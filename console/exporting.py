"""CSV on standard output, and `payouts partner statement`."""

import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.context import DataOption, JsonOption, reading_from
from console.output import out, parse_time, print_table, short_time, table, write_json
from console.request_commands import PartnerArgument
from payouts.clock import now_ms
from payouts.errors import RefusedError
from payouts.money import format_money
from payouts.period import month_of, parse_month

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.statement import Statement

CsvOption = Annotated[bool, typer.Option("--csv", help="As CSV in UTF-8, every row.")]


def statement(
    partner: PartnerArgument,
    month: Annotated[str | None, typer.Option(help="As 2026-10; the current one, unless given.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Instead of a month: from this day on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this day.")] = None,
    as_csv: CsvOption = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show what a partner was owed at the beginning and the end of a time, and what changed it (in UTC)."""
    from payouts.exporting import STATEMENT_COLUMNS, statement_rows
    from payouts.registering import the_partner
    from payouts.statement import statement

    from_ms, until_ms = _period(month, since, until)
    with reading_from(data) as connection:
        made = statement(connection, the_partner(connection, partner), from_ms, until_ms, now_ms())
        if as_csv:
            print_csv(STATEMENT_COLUMNS, statement_rows(connection, made))
        elif as_json:
            _print_json(connection, made)
        else:
            _print(connection, made)


def print_csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print rows as CSV in UTF-8, whatever the terminal's own encoding is."""
    from payouts.exporting import write_csv

    screen = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        write_csv(screen, columns, rows)
        screen.flush()
    finally:
        screen.detach()


def _period(month: str | None, since: str | None, until: str | None) -> tuple[int, int]:
    if since is None and until is None:
        wanted = parse_month(month) if month is not None else month_of(now_ms())
        return wanted.from_ms, wanted.until_ms
    if month is not None or since is None:
        raise RefusedError("bad_period", "say either --month, or --from with or without --until")
    return parse_time(since), parse_time(until) if until is not None else now_ms()


def _print(connection: "Connection", made: "Statement") -> None:
    def money(amount_minor: int) -> str:
        return format_money(amount_minor, made.partner.currency)

    rows: list[tuple[Any, ...]] = [
        (short_time(made.from_ms), "opening balance", None, "", money(made.opening_minor))
    ]
    rows += [
        (
            *(short_time(line.effective_at_ms), line.kind, line.description or line.reference),
            *(money(line.amount_minor), money(line.balance_minor)),
            "unsettled" if line.unsettled_minor else "",
        )
        for line in made.lines(connection)
    ]
    rows.append((short_time(made.until_ms), "closing balance", None, "", money(made.closing_minor)))
    columns = ("counts", "what", "for", "amount", "balance", "")
    print_table(table(columns, [(*row, "")[: len(columns)] for row in rows]))
    parts = f"{money(made.owed_minor)} due, {money(made.in_transit_minor)} on its way"
    parts += f", {money(made.returned_minor)} returned by the bank" if made.returned_minor else ""
    out().print(f"of the closing balance: {parts}", markup=False)
    if made.unsettled_minor:
        said = f"paid, and not settled yet: {money(made.unsettled_minor)} (the bank can still return it)"
        out().print(said, markup=False)
    if made.closing_minor < 0:
        said = f"the partner owes {money(-made.closing_minor)}: coming credits go against it first"
        out().print(said, markup=False)


def _print_json(connection: "Connection", made: "Statement") -> None:
    from dataclasses import asdict

    for line in made.lines(connection):
        write_json(asdict(line))
    names = ("from_ms", "until_ms", "opening_minor", "closing_minor", "owed_minor", "in_transit_minor")
    sums = {name: getattr(made, name) for name in (*names, "returned_minor", "unsettled_minor")}
    write_json({"partner": made.partner.reference, "currency": made.partner.currency, **sums})
