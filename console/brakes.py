"""`payouts stop`, `resume`, `hold`, `limit` and `bank`: what keeps money from going out."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption
from console.doing import doing
from console.limit_words import limit_key, limit_value, limit_window_s
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, short_time
from console.request_commands import PartnerArgument, ReasonOption
from payouts.clock import now_ms
from payouts.errors import RefusedError
from payouts.holds import EVERYTHING, Hold, HoldKind, HoldScope, named
from payouts.ids import IdMaker
from payouts.limits import LimitKind, value_text
from payouts.money import check_currency
from payouts.people import Scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.people import Actor

holds = typer.Typer(no_args_is_help=True, help="Holds: what they cover is not sent until they are released.")
limits = typer.Typer(no_args_is_help=True, help="Limits: how little, how much and how fast.")
banks = typer.Typer(no_args_is_help=True, help="Bank accounts of partners.")

PartnerOption = Annotated[str | None, typer.Option("--partner", help="Only for this partner.")]
CurrencyOption = Annotated[str | None, typer.Option("--currency", help="As eur.")]
LimitReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; for the audit log.")]
KindArgument = Annotated[LimitKind, typer.Argument(help="What the limit is about.")]


def stop(reason: ReasonOption, as_name: AsOption = None, data: DataOption = None) -> None:
    """Stop every payout at once. What Stripe has already goes on; requests are still taken, and wait."""
    from payouts.holding import place

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> Hold:
        return place(connection, HoldKind.KILL_SWITCH, EVERYTHING, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        doer.do(work)
    out().print("nothing is sent any more; `payouts resume` lets it go on", markup=False)


def resume(reason: ReasonOption, as_name: AsOption = None, data: DataOption = None) -> None:
    """Undo `stop`. Other holds stay. Only while everything is stopped."""
    from payouts.holding import release, wake_waiting

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> list[Hold]:
        return release(connection, HoldKind.KILL_SWITCH, EVERYTHING, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        doer.do(work)
        woken = wake_waiting(doer.engine, HoldKind.KILL_SWITCH, now_ms)
    out().print(f"payouts are sent again; {woken} waited", markup=False)


@holds.command("add")
def add(
    reason: ReasonOption,
    partner: PartnerOption = None,
    currency: CurrencyOption = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Hold back every payout of a partner or of a currency. Only where no such hold is on it already."""
    from payouts.holding import place
    from payouts.registering import the_partner
    from payouts.storage.columns import PLATFORM

    if (partner is None) == (currency is None):
        raise RefusedError("bad_hold", "say what to hold: --partner or --currency (`payouts stop` stops all)")

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> Hold:
        if partner is None:
            code = check_currency(currency or "")
            target, account = (HoldScope.CURRENCY, code), PLATFORM
        else:
            found = the_partner(connection, partner)
            target, account = (HoldScope.PARTNER, str(found.id)), found.account
        return place(connection, HoldKind.MANUAL, target, actor, reason, make_id, at_ms, account)

    with doing(data, Scope.OPERATE, as_name) as doer:
        hold = doer.do(work)
    out().print(f"{named(hold.target)} is held: `payouts hold release {hold.id}` lets it go", markup=False)


@holds.command("list")
def list_holds(
    everything: Annotated[bool, typer.Option("--all", help="Released ones too.")] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List holds, newest first: who placed each, and why."""
    from payouts.storage.hold_rows import active_list, hold_list

    columns = ("placed at", "id", "kind", "holds", "reason", "placed by", "released")
    filters = make_filters({}, since, until, after)
    show(data, hold_list if everything else active_list, filters, limit, as_json, columns, _hold_cells)


@holds.command("release")
def release_hold(
    hold_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="As `payouts hold list` shows it.")],
    reason: ReasonOption,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Release one hold, of whatever kind. Only while it is active. A velocity limit then counts anew."""
    from payouts.holding import release_by_id, wake_waiting

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> Hold:
        return release_by_id(connection, hold_id, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        hold = doer.do(work)
        woken = wake_waiting(doer.engine, hold.kind, now_ms)
    out().print(f"{named(hold.target)} is held no more; {woken} payouts waited", markup=False)


@limits.command("set")
def set_limit(
    kind: KindArgument,
    value: Annotated[str, typer.Argument(help="An amount, as 500.00, or a number of payouts.")],
    currency: CurrencyOption = None,
    window: Annotated[str | None, typer.Option(help="For velocity: as 60m, 24h or 7d.")] = None,
    partner: PartnerOption = None,
    reason: LimitReasonOption = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Set a limit, in place of the one there was. It counts from the next payout on."""
    from payouts.limiting import set_limit

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> str:
        key = limit_key(connection, kind, currency, partner)
        most, window_s = limit_value(key, value), limit_window_s(window)
        made = set_limit(connection, key, most, window_s, actor, make_id, at_ms, reason)
        return f"{key}: {value_text(made)}"

    with doing(data, Scope.ADMIN, as_name) as doer:
        out().print(doer.do(work), markup=False, soft_wrap=True)


@limits.command("remove")
def remove_limit(
    kind: KindArgument,
    currency: CurrencyOption = None,
    partner: PartnerOption = None,
    reason: LimitReasonOption = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Remove a limit. Only where it is set; a hold that it placed stays until it is released."""
    from payouts.limiting import unset_limit

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> str:
        key = limit_key(connection, kind, currency, partner)
        unset_limit(connection, key, actor, make_id, at_ms, reason)
        return str(key)

    with doing(data, Scope.ADMIN, as_name) as doer:
        out().print(f"no limit {doer.do(work)} any more", markup=False, soft_wrap=True)


@limits.command("list")
def list_limits(
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List the limits that are set."""
    from payouts.storage.limit_rows import limit_list

    columns = ("kind", "for", "limit", "window", "set by", "set at")
    show(data, limit_list, make_filters({}, None, None, after), limit, as_json, columns, _limit_cells)


@banks.command("approve")
def approve_bank(
    partner: PartnerArgument,
    reason: ReasonOption,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="BA", help="The one you looked at."),
    ] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Approve the bank account that a partner has now. Takes a person, and one that is not approved yet.

    The cooling-off of a new account goes on all the same.
    """
    from payouts.approving import approve_bank_account
    from payouts.registering import the_partner

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> str:
        partner_id = the_partner(connection, partner).id
        done = approve_bank_account(connection, partner_id, actor, reason, make_id, at_ms, account)
        return f"{done.bank_label or done.bank_account} of {done.reference} is approved"

    with doing(data, Scope.APPROVE, as_name) as doer:
        out().print(doer.do(work), markup=False, soft_wrap=True)


def _hold_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    released = None
    if not row["active"]:
        released = f"{short_time(row['released_at_ms'])} by {row['released_by']}: {row['release_reason']}"
    return (
        *(
            short_time(row["placed_at_ms"]),
            row["id"],
            row["kind"],
            row["holds"],
            row["reason"],
            row["placed_by"],
        ),
        released,
    )


def _limit_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(row["kind"], row["partner"] or "all", row["limit"], row["window"]),
        *(row["set_by"], short_time(row["set_at_ms"])),
    )
