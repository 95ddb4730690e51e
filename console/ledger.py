"""`payouts ledger …`: the books."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption, acting
from console.context import DataOption, JsonOption, engine_of, reading_from
from console.crediting import fund
from console.exporting import CsvOption, print_csv
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, parse_time, print_table, short_time, table, write_json
from payouts.clock import now_ms
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.money import format_money
from payouts.people import Scope

if TYPE_CHECKING:
    from payouts.checking import Finding

app = typer.Typer(no_args_is_help=True, help="The books: balances, postings, checks, closed months.")
app.command("fund")(fund)

PartnerOption = Annotated[str | None, typer.Option("--partner", help="Only of this partner.")]
_COLUMNS = ("posted", "counts", "id", "kind", "reference", "partner", "moved", "by")


@app.command("balance")
def balance(
    partner: Annotated[
        str | None, typer.Argument(help="Of this partner; of all together, unless given.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show the balance of every kind of ledger account: of a partner, or of all and of the platform."""
    from payouts.registering import the_partner
    from payouts.storage.ledger_queries import partner_sums, platform_accounts
    from payouts.storage.ledger_rows import partner_balances, platform_balance

    with reading_from(data) as connection:
        if partner is not None:
            found = the_partner(connection, partner)
            rows = [(found.reference, *each) for each in partner_balances(connection, found.id).items()]
        else:
            rows = [("all partners", *each) for each in partner_sums(connection).items()]
            rows += [
                ("platform", (code, kind), platform_balance(connection, kind, code))
                for code, kind in platform_accounts(connection)
            ]
    lines = sorted((whose, code, str(kind), amount) for whose, (code, kind), amount in rows)
    if as_json:
        for whose, code, kind, amount in lines:
            write_json({"of": whose, "currency": code, "kind": kind, "amount_minor": amount})
        return
    cells = [(whose, kind, format_money(amount, code)) for whose, code, kind, amount in lines]
    print_table(table(("of", "kind", "amount"), cells))


@app.command("journal")
def journal(
    partner: PartnerOption = None,
    kind: Annotated[str | None, typer.Option(help="As credit, request, payout_paid.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_csv: CsvOption = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List transactions with their postings, newest first; as CSV one posting a line, oldest first."""
    from payouts.registering import the_partner
    from payouts.storage.ledger_queries import journal

    partner_id = None
    if partner is not None:
        with reading_from(data) as connection:
            partner_id = the_partner(connection, partner).id
    if as_csv:
        if kind is not None or after is not None or limit is not None:
            raise RefusedError("bad_option", "--csv takes --partner, --since and --until only: it is whole")
        _journal_csv(data, partner_id, since, until)
        return
    filters = make_filters(
        {"partner_id": str(partner_id) if partner_id else None, "kind": kind}, since, until, after
    )
    show(data, journal, filters, limit, as_json, _COLUMNS, _cells)


@app.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Only these.")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Check everything that must be true of the books; fails where something is not. Changes nothing."""
    from payouts.checking import check

    broken = 0
    with engine_of(data) as engine:
        for finding in check(engine, names or ()):
            broken += bool(finding.violations)
            _report_json(finding) if as_json else _report(finding)
    if broken:
        raise typer.Exit(1)


@app.command("close")
def close(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="As 2026-11, in UTC.")],
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Close a month: nothing that counts in it is posted any more, and its sums are kept.

    It is over for an hour at least, and the month before is closed, unless it is the first one. There is no
    way back. Broken off, it is finished by running it again.
    """
    from dataclasses import asdict

    from payouts.closing import close_month

    with acting(data, Scope.ADMIN, as_name) as (engine, actor):
        closed = close_month(engine, month, actor, IdMaker(), now_ms)
    if as_json:
        write_json(asdict(closed))
        return
    cells = [
        (kind, format_money(amount, code))
        for code, kinds in sorted((closed.sums or {}).items())
        for kind, amount in sorted(kinds.items())
    ]
    print_table(table((f"moved in {closed.period}", "amount"), cells))
    out().print(f"closed with {closed.transactions} transactions, digest {closed.digest}", markup=False)


@app.command("closes")
def closes(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List closed months."""
    from dataclasses import asdict

    from payouts.storage.closing_rows import closes

    with reading_from(data) as connection:
        months = closes(connection)
    if as_json:
        for close in months:
            write_json(asdict(close))
        return
    cells = [
        (close.period, short_time(close.closed_at_ms), close.closed_by, close.transactions, close.digest)
        for close in months
    ]
    print_table(table(("month", "closed", "by", "transactions", "digest"), cells))


def _journal_csv(data: Path | None, partner_id: int | None, since: str | None, until: str | None) -> None:
    from payouts.exporting import JOURNAL_COLUMNS, journal_rows

    from_ms = parse_time(since) if since is not None else 0
    until_ms = parse_time(until) if until is not None else now_ms() + 1
    with reading_from(data) as connection:
        print_csv(JOURNAL_COLUMNS, journal_rows(connection, from_ms, until_ms, partner_id))


def _report(finding: "Finding") -> None:
    if not finding.violations:
        out().print(f"holds   {finding.name}: {finding.invariant.promise}", markup=False, soft_wrap=True)
        return
    out().print(f"broken  {finding.name}: {finding.invariant.promise}", markup=False, soft_wrap=True)
    for violation in finding.violations:
        out().print(f"        {violation.subject}: {violation.text}", markup=False, soft_wrap=True)
    if finding.more:
        out().print("        and more", markup=False)
    out().print(f"        what to do: {finding.invariant.remedy}", markup=False, soft_wrap=True)


def _report_json(finding: "Finding") -> None:
    row: dict[str, Any] = {
        "invariant": finding.name,
        "holds": not finding.violations,
        "promise": finding.invariant.promise,
    }
    if finding.violations:
        row["remedy"] = finding.invariant.remedy
        row["violations"] = [{"subject": v.subject, "text": v.text} for v in finding.violations]
        row["more"] = finding.more
    write_json(row)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    moved = "  ".join(
        f"{each['kind']} {format_money(each['amount_minor'], each['currency'])}" for each in row["postings"]
    )
    return (
        *(short_time(row["posted_at_ms"]), short_time(row["effective_at_ms"]), row["id"], row["kind"]),
        *(row["reference"], row["partner"], moved, row["actor"]),
    )
