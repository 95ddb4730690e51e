"""`payouts reconcile …`: compare our books with Stripe's, and see what differs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.accounts import accounts, count_accounts
from console.acting import AsOption, acting
from console.context import DataOption, JsonOption, settings_of
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import err, out, parse_time, short_time
from payouts.clock import now_ms
from payouts.difference import DifferenceKind
from payouts.errors import RefusedError
from payouts.people import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from payouts.budget import Budget
    from payouts.reconciling import Reconciler

app = typer.Typer(no_args_is_help=True, help="What differs between our books and Stripe's.")

_COLUMNS = ("first seen", "difference", "subject", "account", "ours", "at Stripe", "until", "what to do")


@app.command("run")
def run(
    account: Annotated[str | None, typer.Option(help="Only acct_…, or platform.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Begin anew, with what was created from then on: 2026-01-31, 30d.")
    ] = None,
    payout: Annotated[str | None, typer.Option(help="Only this: pay_…, po_… or tr_….")] = None,
    reads: Annotated[int | None, typer.Option(min=1, help="Ask Stripe so often at the most.")] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Compare now. What the state machine can heal is healed; all else is listed until it is gone.

    Ends with 1 where something differs, or where there was too much to ask for. Run it again to go on.
    """
    from payouts.bootstrap import open_gateway, open_reconciler
    from payouts.budget import Budget
    from payouts.ids import IdMaker
    from payouts.rechecking import Rechecker
    from payouts.storage import audit_rows

    if payout is not None and since is not None:
        raise RefusedError("bad_options", "--payout asks for one payout as it is now: leave --since out")
    settings, make_id, began_at_ms = settings_of(data), IdMaker(), now_ms()
    budget = Budget(reads or settings.reconcile_reads_most)
    since_s = None if since is None else parse_time(since) // 1000
    with acting(data, Scope.OPERATE, as_name) as (engine, actor):
        gateway = open_gateway(settings)
        reconciler = open_reconciler(settings, engine, gateway)
        with engine.begin() as connection:
            subject = payout or account or "all"
            details = {"since_s": since_s, "reads": budget.most}
            audit_rows.append(
                *(connection, make_id, now_ms()),
                actor=actor.name,
                action="reconcile.run",
                subject=subject,
                details=details,
            )
        if payout is not None:
            Rechecker(engine, gateway, reconciler, now_ms).recheck(payout, budget, account)
            all_done = True
        else:
            all_done = compare(engine, reconciler, budget, account, since_s)
        _print_healed(engine, began_at_ms)
        count = print_open(engine, account)
    if not all_done:
        out().print(f"not done: Stripe was asked {budget.used} times; run it again to go on")
    if count or not all_done:
        raise typer.Exit(1)


@app.command("list")
def list_differences(
    only_open: Annotated[bool, typer.Option("--open", help="Only what is not gone.")] = False,
    kind: Annotated[DifferenceKind | None, typer.Option()] = None,
    account: Annotated[str | None, typer.Option(help="acct_…, or platform.")] = None,
    subject: Annotated[str | None, typer.Option(help="po_…, tr_…, pay_….")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List differences, newest first, those that are gone too."""
    from functools import partial

    from payouts.storage.difference_rows import difference_list

    equal = {"kind": kind, "account": account, "subject": subject}
    fetch = partial(difference_list, only_open=only_open)
    show(data, fetch, make_filters(equal, since, until, after), limit, as_json, _COLUMNS, _cells)


def compare(
    engine: "Engine",
    reconciler: "Reconciler",
    budget: "Budget",
    account: str | None,
    since_s: int | None = None,
) -> bool:
    """Compare one account or all; whether that came to the end."""
    reconciler.find_late(account)
    with _progress(1 if account else count_accounts(engine)) as advance:
        for each in [account] if account else accounts(engine):
            if budget.is_spent or not reconciler.compare(each, budget, since_s):
                return False
            advance(each)
    return True


@contextmanager
def _progress(total: int) -> Iterator["Callable[[str], None]"]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task("comparing", total=total)
        yield lambda account: progress.update(task, advance=1, description=account)


def _print_healed(engine: "Engine", since_ms: int) -> None:
    from payouts.storage.difference_rows import healed_since
    from payouts.storage.queries import reading

    with reading(engine) as connection:
        count = healed_since(connection, since_ms)
    if count:
        out().print(f"{count} healed or gone: payouts reconcile list")


def print_open(engine: "Engine", account: str | None) -> int:
    """Say what differs now; how much that is."""
    from payouts.storage.difference_rows import difference_list
    from payouts.storage.queries import Filters, reading

    equal: dict[str, str | int] = {"account": account} if account else {}
    with reading(engine) as connection:
        rows = difference_list(connection, Filters(equal), _SHOWN_MOST, only_open=True)
    for row in rows:
        text = f"{row['kind']} {row['subject']} on {row['account']}: {row['text']}"
        out().print(f"{text}\n  → {row['remedy']}", markup=False, soft_wrap=True)
    if not rows:
        out().print("nothing differs")
    elif len(rows) == _SHOWN_MOST:
        out().print("there may be more: payouts reconcile list --open")
    return len(rows)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["first_seen_ms"]), row["kind"], row["subject"], row["account"]),
        *(row["ours"], row["theirs"]),
        "open" if row["healed_at_ms"] is None else f"{short_time(row['healed_at_ms'])}, {row['healed_how']}",
        row["remedy"] if row["healed_at_ms"] is None else None,
    )


_SHOWN_MOST = 50
