"""`payouts pools`: do the connections of all processes fit the database, and if not, what to set?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from console.context import DataOption, engine_of, settings_of
from console.output import err, print_table, say, table, write_json
from payouts.errors import RefusedError

if TYPE_CHECKING:
    from payouts.pools import Fit
    from payouts.settings import Settings
    from payouts.storage.redis_view import Process

PlanOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plan",
        metavar="ROLE=N",
        help="Count N processes of this role, in place of those that are there; may be repeated.",
    ),
]


def pools(
    plan: PlanOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    data: DataOption = None,
) -> None:
    """Work out whether all connections to the database fit its limit, with a fifth to spare. Changes nothing.

    Counts the processes that are there, or those of --plan. Ends with 0 where they fit, else 1.
    """
    from payouts.overview import connections_of
    from payouts.pools import Fit, needs_of
    from payouts.storage.queries import reading
    from payouts.storage.server_facts import server_connections

    planned, settings = _planned(plan or []), settings_of(data)
    with engine_of(data) as engine, reading(engine) as connection:
        server = server_connections(connection)
    processes = _processes(settings)
    # Counted as `payouts status` counts them; the narrower bound is the one that they must fit.
    bounds = connections_of(server, [each for each in processes if each.here]) if server else []
    bound = min(bounds, key=lambda used: used.most, default=None)
    fit = Fit(
        needs_of(processes, settings, planned),
        bound.most if bound else None,
        bound.used if bound else None,
        settings.database_pool_size,
    )
    if as_json:
        _write(fit)
    else:
        _print(fit)
    raise typer.Exit(1 if fit.fits is False else 0)


def _planned(plan: Sequence[str]) -> dict[str, int]:
    from payouts.pools import ROLES

    found = {}
    for each in plan:
        role, _, count = each.partition("=")
        if role not in ROLES or not count.isdecimal():
            raise RefusedError(
                "bad_plan", f"--plan {each} does not read: it is ROLE=N, with a role of {', '.join(ROLES)}"
            )
        found[role] = int(count)
    return found


def _processes(settings: "Settings") -> "Sequence[Process]":
    import redis

    from payouts.clock import now_ms
    from payouts.storage.redis_view import redis_view
    from payouts.stores import open_redis

    with open_redis(settings, settings.redis_timeout_s) as client:
        try:
            return redis_view(client, settings.queue_namespace, (), 1, 1, now_ms).processes
        except (redis.RedisError, OSError):
            err().print(
                "payouts: Redis does not answer, so only what --plan names is counted", style="yellow"
            )
            return []


def _print(fit: "Fit") -> None:
    from payouts.pools import SHARE, SPARE

    rows: list[tuple[object, ...]] = [
        (need.role, need.processes, need.each, need.total) for need in fit.needs
    ]
    rows.append(("spare", "", "", SPARE))
    print_table(table(("role", "processes", "connections each", "in all"), rows))
    for need in fit.needs:
        if not need.processes:
            say(f"no {need.role} is seen: --plan {need.role}=N counts some")
    if fit.most is None:
        say(f"{fit.total} connections in all; this database tells of no limit")
        return
    text = f"{fit.total} of {fit.most} connections may be open at once ({fit.connected} are now)"
    if fit.fits:
        say(f"{text}: it fits, with less than {SHARE:.0%} in use")
        return
    say(f"{text}: too many, for {SHARE:.0%} is the most")
    say(f"  either set max_connections={fit.wanted_most} at the database (or its next larger plan)")
    if fit.wanted_pool_size is not None and fit.wanted_pool_size < fit.pool_size:
        say(f"  or set DATABASE_POOL_SIZE={fit.wanted_pool_size}")
    say("  or run fewer processes: --plan ROLE=N tries it")


def _write(fit: "Fit") -> None:
    write_json(
        {
            "needs": [
                {"role": need.role, "processes": need.processes, "each": need.each, "total": need.total}
                for need in fit.needs
            ],
            "total": fit.total,
            "most": fit.most,
            "connected": fit.connected,
            "fits": fit.fits,
            "wanted_max_connections": fit.wanted_most,
            "wanted_pool_size": fit.wanted_pool_size,
        }
    )
