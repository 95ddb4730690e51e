"""`payouts limits`, `block` and `unblock`: rate limits, and addresses that are not answered."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from, settings_of
from console.doing import doing
from console.output import out, parse_time_to_come, print_table, say, short_time, table, write_json
from console.request_commands import ReasonOption
from payouts.clock import iso, now_ms
from payouts.errors import NotFoundError
from payouts.ids import IdMaker
from payouts.people import Scope
from payouts.rates import WINDOW_S, RouteGroup

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.blocks import Block, Raise
    from payouts.limits_now import LimitsNow
    from payouts.people import Actor

app = typer.Typer(
    invoke_without_command=True,
    help="Rate limits: how they stand, and who asks most; `payouts limit` is about money.",
)

REDIS_TIMEOUT_S = 2.0
GroupArgument = Annotated[RouteGroup, typer.Argument(metavar="ROUTE", help="As `payouts limits` names it.")]
ForOption = Annotated[
    str,
    typer.Option("--for", metavar="SPAN", help="As 30m, 2h or 1d; or a time to come."),
]
NetworkArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="As 203.0.113.7, 203.0.113.0/24 or 2001:db8::/48.")
]


@app.callback()
def show(context: typer.Context, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show the limits, what is raised and until when, what is blocked, and who asks most now."""
    if context.invoked_subcommand is not None:
        return
    from payouts.limits_now import SHOWN, limits_now
    from payouts.stores import open_redis

    settings = settings_of(data)
    client = open_redis(settings, REDIS_TIMEOUT_S)
    with reading_from(data) as connection:
        found = limits_now(
            connection,
            *(client, settings.queue_namespace, settings.rate_limits, now_ms()),
            shown=1_000 if as_json else SHOWN,
        )
    client.close()
    if as_json:
        write_json(_document(found))
    else:
        _print(found)


@app.command("raise")
def raise_limit(
    group: GroupArgument,
    to: Annotated[int, typer.Option("--to", min=1, metavar="N", help="So many requests a minute.")],
    span: ForOption,
    reason: ReasonOption,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Allow more for a while. It ends by itself; processes know of it within seconds."""
    from payouts.blocking import raise_limit

    settings, until_ms = settings_of(data), parse_time_to_come(span)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Raise":
        limits = settings.rate_limits
        return raise_limit(connection, group, to, until_ms, limits, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        made = doer.do(work)
    say(f"{group} allows {made.most:,} requests a minute, until {iso(made.until_ms)}")


@app.command("reset")
def reset(
    reason: ReasonOption,
    group: Annotated[
        RouteGroup | None, typer.Argument(metavar="ROUTE", help="Only this one; else all that are raised.")
    ] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Let limits be as they are set, before their raise ends. Only what is raised."""
    from payouts.blocking import lower_again
    from payouts.storage.guard_rows import read_decided

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> list["Raise"]:
        raised = [each.route_group for each in read_decided(connection, at_ms).raises]
        wanted = raised if group is None else [group]
        if not wanted:
            raise NotFoundError("no limit is raised")
        return [lower_again(connection, each, actor, reason, make_id, at_ms) for each in wanted]

    with doing(data, Scope.OPERATE, as_name) as doer:
        done = doer.do(work)
    allow = "allows" if len(done) == 1 else "allow"
    say(f"{' and '.join(each.route_group for each in done)} {allow} what is set again")


def block(
    address: NetworkArgument,
    span: ForOption,
    reason: ReasonOption,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Answer an address or a network no more, until a time: 403 from the receiver, the API and the console.

    Not Stripe's addresses, not the proxies of TRUSTED_PROXIES, not this machine. Already blocked: a new end.
    """
    from payouts.blocking import block

    settings, until_ms = settings_of(data), parse_time_to_come(span)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Block":
        return block(connection, address, until_ms, settings.proxies, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        made = doer.do(work)
    say(f"{made.network} is blocked, until {iso(made.until_ms)}: `payouts unblock {made.network}` lifts it")


def unblock(
    address: NetworkArgument, reason: ReasonOption, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Lift a block before its end. Only of exactly what is blocked."""
    from payouts.blocking import unblock

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Block":
        return unblock(connection, address, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        done = doer.do(work)
    say(f"{done.network} is answered again")


def _print(found: "LimitsNow") -> None:
    columns = ("route", "what", "by", "a minute", "raised until", "why")
    print_table(table(columns, [_standing_cells(each) for each in found.standings]))
    if found.blocks:
        blocked = [
            (row["network"], short_time(row["until_ms"]), row["blocked_by"], row["reason"])
            for row in found.blocks
        ]
        print_table(table(("blocked", "until", "by", "why"), blocked))
        if found.block_count > len(found.blocks):
            out().print(f"{found.block_count} blocks in all: --json shows more", markup=False)
    else:
        out().print("no address is blocked", markup=False)
    if found.busiest is None:
        say(f"who asks most is not known: {found.why}")
    elif found.busiest:
        rows = [(each.group, each.key, each.count, each.limit) for each in found.busiest]
        print_table(table(("route", "who", f"in its {WINDOW_S} s", "limit"), rows))
        if not found.whole:
            out().print("there are more callers than were looked at", markup=False)
    else:
        out().print("nobody was counted lately", markup=False)
    read = f"read {short_time(found.stripe.read_at_ms)}" if found.stripe.read_at_ms else "as built in"
    out().print(f"never limited or blocked: {found.stripe.count} addresses of Stripe's, {read}", markup=False)


def _standing_cells(each: Any) -> tuple[Any, ...]:
    most = f"{each.now:,}" if each.now else "any number"
    raised = each.raised if each.now > each.usual else None
    why = f"{raised.reason} ({raised.raised_by}; else {each.usual:,})" if raised else None
    return each.group, each.what, each.by, most, short_time(raised.until_ms) if raised else None, why


def _document(found: "LimitsNow") -> dict[str, Any]:
    return {
        "limits": [
            {
                "route": each.group,
                "by": each.by,
                "per_minute": each.usual,
                "per_minute_now": each.now,
                "raised_until_ms": each.raised.until_ms if each.raised else None,
                "raised_by": each.raised.raised_by if each.raised else None,
                "raised_reason": each.raised.reason if each.raised else None,
            }
            for each in found.standings
        ],
        "blocks": [
            {name: row[name] for name in ("network", "until_ms", "reason", "blocked_by", "blocked_at_ms")}
            for row in found.blocks
        ],
        "busiest": None
        if found.busiest is None
        else [
            {"route": each.group, "who": each.key, "count": each.count, "limit": each.limit}
            for each in found.busiest
        ],
        "stripe_addresses": found.stripe.count,
        "stripe_addresses_read_at_ms": found.stripe.read_at_ms,
    }
