"""`payouts catch-up`: find the events that Stripe lists and that never arrived; how far that goes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.accounts import accounts
from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from
from console.output import out, parse_time, print_table, short_time, table, write_json
from console.walking import Walking, print_line, progress, walking
from payouts.clock import iso, now_ms
from payouts.errors import GatewayError
from payouts.walk import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from payouts.walk import Walk
    from payouts.walks import Wish

app = typer.Typer(invoke_without_command=True)

_MARKS_MOST, _WALKS_MOST = 500, 20
_WALK_COLUMNS = (
    *("began", "account", "why", "recipe", "from", "until", "listed", "added", "pages", "status", "by"),
)


@app.callback()
def catch_up(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(help="Only acct_…, or platform.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From then on: 2026-01-31, 30d. Else from where it was walked to.")
    ] = None,
    recipe: Annotated[
        Recipe, typer.Option(help="failed: only what an endpoint did not take, which is cheap.")
    ] = Recipe.ALL,
    all_types: Annotated[
        bool, typer.Option("--all-types", help="Also types that nothing is done with.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Then compare the objects: Stripe may have made no event.")
    ] = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Walk Stripe's lists of events, and add what never arrived. Stopped half-way, run it again to go on.

    Ends with 1 where an account could not be walked, or where --compare finds that something differs.
    """
    if context.invoked_subcommand is not None:
        return
    since_s = None if since is None else parse_time(since) // 1000
    with walking(data, as_name) as walker:
        details = {"since_s": since_s, "recipe": recipe, "all_types": all_types, "compare": compare}
        walker.note("catch_up.run", account or "all", details)
        run = _Run(walker, since_s, recipe, all_types)
        try:
            with progress() as follow:
                for each in [account] if account else accounts(walker.engine):
                    run.walk(each, follow)
        except GatewayError as error:
            print_line(f"Stripe gives no answer: {error}; run it again to go on", bad=True)
            run.failed += 1
        except KeyboardInterrupt:
            print_line("stopped: run it again to go on")
            raise
        finally:
            print_line(f"{run.walked} accounts walked: {run.listed} listed, {run.added} added")
        differs = bool(compare and not run.failed and _differs(walker, account))
    if run.failed or differs:
        raise typer.Exit(1)


@app.command("status")
def status(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show how far each account is walked, and the last walks."""
    from payouts.storage.catch_up_rows import walk_list
    from payouts.storage.mark_rows import mark_list
    from payouts.storage.queries import Filters

    with reading_from(data) as connection:
        marks = mark_list(connection, Filters({}), _MARKS_MOST)
        walks = walk_list(connection, Filters({}), _WALKS_MOST)
    if as_json:
        for kind, rows in (("mark", marks), ("walk", walks)):
            for row in rows:
                write_json({"kind": kind, **row})
        return
    columns = ("account", "walked until", "last whole walk", "daily proofs begun until")
    print_table(table(columns, [_mark_cells(mark) for mark in marks]))
    if not marks:
        out().print("no account was walked yet")
    elif len(marks) == _MARKS_MOST:
        out().print(f"only the newest {_MARKS_MOST} accounts are shown")
    if walks:
        print_table(table(_WALK_COLUMNS, [_walk_cells(walk) for walk in walks], title="\nlast walks"))
    for walk in walks:
        if walk["error"]:
            print_line(f"{walk['account']}: {walk['error']}", bad=True)


@dataclass
class _Run:
    """What a command walks, and what came of it so far."""

    walking: Walking
    since_s: int | None
    recipe: Recipe
    all_types: bool
    walked: int = 0
    failed: int = 0
    listed: int = 0
    added: int = 0

    def walk(self, account: str, follow: "Callable[[Walk], None]") -> None:
        """One account to its end; what was cut short before first, then what came since."""
        began_at_ms = now_ms()
        walk = self.walking.begin(self._wish(account, self.since_s))
        self._note(self.walking.to_the_end(walk, follow))
        if walk.began_at_ms < began_at_ms:
            walk = self.walking.begin(self._wish(account, walk.until_s))
            self._note(self.walking.to_the_end(walk, follow))
        self.walked += 1

    def _wish(self, account: str, since_s: int | None) -> "Wish":
        from payouts.proof import KEPT_S, OVERLAP_S
        from payouts.storage.mark_rows import find_mark
        from payouts.storage.queries import reading
        from payouts.walk import Cause
        from payouts.walks import COMMANDED, Wish

        now_s = now_ms() // 1000
        if since_s is None:
            with reading(self.walking.engine) as connection:
                mark = find_mark(connection, account)
            since_s = mark.walked_until_s - OVERLAP_S if mark else now_s - KEPT_S
        return Wish(
            *(account, Cause.COMMAND, COMMANDED, self.walking.actor.name),
            *(min(since_s, now_s), now_s, self.recipe, self.all_types),
        )

    def _note(self, walk: "Walk") -> None:
        self.listed += walk.listed
        self.added += walk.added
        if walk.cut:
            print_line(
                f"{walk.account}: Stripe lists the events of 30 days, so this goes back to "
                f"{iso(walk.since_s * 1000)} only"
            )
        if walk.error is not None:
            self.failed += 1
            print_line(f"{walk.account}: {walk.error}", bad=True)
        elif walk.listed:
            print_line(f"{walk.account}: {walk.listed} listed, {walk.added} added")
        if walk.unreadable:
            print_line(f"{walk.account}: {walk.unreadable} do not read as events", bad=True)


def _differs(walker: Walking, account: str | None) -> bool:
    """Compare the objects with Stripe's, and say what differs."""
    from console.reconcile import compare, print_open
    from payouts.budget import Budget
    from payouts.reconciling import Reconciler

    reconciler = Reconciler(walker.engine, walker.walker.gateway, walker.make_id, now_ms)
    budget = Budget(walker.settings.reconcile_reads_most)
    done = compare(walker.engine, reconciler, budget, account)
    if not done:
        print_line(f"not all is compared: Stripe was asked {budget.used} times: payouts reconcile run")
    return bool(print_open(walker.engine, account)) or not done


def _mark_cells(mark: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(mark["account"], short_time(mark["walked_until_s"] * 1000)),
        *(short_time(mark["walked_at_ms"] or None), short_time(mark["proved_until_s"] * 1000)),
    )


def _walk_cells(walk: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(walk["began_at_ms"]), walk["account"], walk["cause"], walk["recipe"]),
        *(short_time(walk["since_s"] * 1000), short_time(walk["until_s"] * 1000)),
        *(walk["listed"], walk["added"], walk["reads"], walk["status"], walk["actor"]),
    )
