"""`payouts import …`: what another system knew, from CSV files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.acting import AsOption, acting
from console.context import DataOption, JsonOption, settings_of
from console.output import err, out, write_json
from payouts.clock import now_ms
from payouts.ids import IdMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from payouts.csv_lines import Rejected
    from payouts.importing import Kind

app = typer.Typer(no_args_is_help=True, help="Bring in what another system knew, from CSV files.")

FileArgument = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV in UTF-8.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Try everything, and leave nothing.")]


@app.command("partners")
def partners(
    file: FileArgument,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Partners. Columns: reference, account, name, email, currency."""
    from payouts.import_lines import PartnerFile

    _import(PartnerFile(), file, dry_run, as_json, as_name, data)


@app.command("credits")
def credits_(
    file: FileArgument,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Credits, and debits as amounts below zero. Columns: partner, amount, currency, reference; perhaps
    effective_date, description."""
    from payouts.import_lines import CreditFile

    _import(CreditFile(), file, dry_run, as_json, as_name, data)


@app.command("balances")
def balances(
    file: FileArgument,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """What each partner is owed at the beginning, without payouts in flight. Columns: partner, amount,
    currency; perhaps reference, effective_date, description."""
    from payouts.import_lines import BalanceFile

    _import(BalanceFile(), file, dry_run, as_json, as_name, data)


@app.command("payouts")
def payouts(
    file: FileArgument,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Payouts in flight, so that Stripe's events find them. Columns: partner, payout (po_…), amount,
    currency, status (pending, in_transit or paid); perhaps transfer (tr_…)."""
    from payouts.import_payouts import PayoutFile

    _import(PayoutFile(settings_of(data).livemode), file, dry_run, as_json, as_name, data)


def _import(
    kind: "Kind", path: Path, dry_run: bool, as_json: bool, as_name: str | None, data: Path | None
) -> None:
    from payouts.importing import Importer

    with (
        acting(data, kind.scope, as_name) as (engine, actor),
        path.open("rb") as file,
        _progress(path, as_json) as on_bytes,
    ):
        importer = Importer(engine, actor, IdMaker(), now_ms, dry_run)
        done = importer.run(kind, file, path.name, _write_json if as_json else _write, on_bytes)
    if as_json:
        write_json({"new": done.new, "known": done.known, "rejected": done.rejected, "dry_run": dry_run})
    else:
        tried = "; nothing was written: this was a dry run" if dry_run else ""
        said = f"{done.new} new, {done.known} known before, {done.rejected} rejected{tried}"
        out().print(said, markup=False)
    if done.rejected:
        raise typer.Exit(1)


@contextmanager
def _progress(path: Path, as_json: bool) -> Iterator["Callable[[int], None]"]:
    """A bar where somebody watches; it stands on the other stream, so that the report can be kept."""
    if as_json or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=err(), transient=True) as bar:
        task = bar.add_task(path.name, total=path.stat().st_size)
        yield lambda count: bar.advance(task, count)


def _write(rejected: "Rejected") -> None:
    column = f", {rejected.column}" if rejected.column else ""
    out().print(f"line {rejected.number}{column}: {rejected.reason}", markup=False, soft_wrap=True)


def _write_json(rejected: "Rejected") -> None:
    write_json({"line": rejected.number, "column": rejected.column, "reason": rejected.reason})
