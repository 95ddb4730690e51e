"""`payouts status`: is all well? The vital signs, what waits, who is there."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from console.context import DataOption, engine_of, settings_of
from console.output import out, print_table, short_time, table
from console.status_document import COUNTS, document
from payouts.vendor_status import Vendors, VendorStatus, read_pages
from payouts.vitals import Level, Part, Vital

if TYPE_CHECKING:
    from payouts.overview import Overview
    from payouts.settings import Settings
    from payouts.storage.age_queries import Dead
    from payouts.storage.minutes import Minute
    from payouts.storage.redis_view import Process

EXIT_CODES = {Level.UNKNOWN: 0, Level.NORMAL: 0, Level.WARNING: 1, Level.CRITICAL: 2}
_STYLES = {
    Level.UNKNOWN: "magenta",
    Level.NORMAL: "green",
    Level.WARNING: "yellow",
    Level.CRITICAL: "red",
}


def status(
    hours: Annotated[int, typer.Option(min=1, max=48, help="How far back the counts go.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
    data: DataOption = None,
) -> None:
    """Show how the service is: vital signs, dependencies, processes, queues, what waits. Changes nothing.

    Ends with 0 where all is normal or unknown, 1 on a warning, 2 where something is critical.
    """
    settings = settings_of(data)
    vendors = Vendors(read_pages(settings.vendor_status_pages))  # they answer while all else is asked
    seen = _look(data, settings, hours)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(document(seen, vendors.wait())) + b"\n")
    else:
        _print(seen, hours, vendors.wait())
    raise typer.Exit(EXIT_CODES[seen.level])


def _look(data: Any, settings: "Settings", hours: int) -> "Overview":
    from payouts.bootstrap import open_overviewer
    from payouts.stores import open_redis
    from workers.messages import QUEUES, open_messages

    with engine_of(data) as engine, open_redis(settings, settings.redis_timeout_s) as client:
        depths = open_messages(settings, client).depths
        return open_overviewer(settings, engine, client, QUEUES, depths=depths).look(hours)


def _print(seen: "Overview", hours: int, vendors: Sequence[VendorStatus]) -> None:
    judged = [
        *((sign.vital, sign.level, _said(sign.vital, sign.worst)) for sign in seen.signs),
        *((each.name, each.level, _dependency(each.latency_ms, each.text)) for each in seen.dependencies),
        *(
            (role, Level.CRITICAL, f"no process of it is seen: `payouts {role}` starts one")
            for role in seen.missing
        ),
    ]
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("sign", "level", "what it is"):
        made.add_column(column)
    for name, level, said in judged:
        made.add_row(name, Text(level, _STYLES[level]), _plain(said))
    print_table(made)
    for shown in (_processes(seen), _queues(seen), _waiting(seen), _vendors(vendors)):
        if shown.row_count:
            out().print()
            print_table(shown)
    out().print()
    for line in _lines(seen, hours):
        out().print(_plain(line), soft_wrap=True)


def _processes(seen: "Overview") -> Table:
    columns = ("role", "process", "last seen", "memory", "connections", "version")
    return table(columns, (_process(each) for each in seen.processes))


def _process(each: "Process") -> Sequence[Any]:
    state = each.state
    held = f"{state.resident_bytes / 1024**2:.0f} MiB" if state and state.resident_bytes else None
    pool = None
    if state and state.connections_most is not None:
        pool = f"{state.connections_used} of {state.connections_most}"
    version = state.version if state else None
    return each.seen.role, each.seen.name, short_time(each.seen.at_ms), held, pool, version


def _queues(seen: "Overview") -> Table:
    queues = seen.redis.queues if seen.redis else []
    return table(
        ("queue", "waiting", "held", "delayed"),
        ((each.name, each.waiting, each.held, each.delayed) for each in queues),
    )


def _waiting(seen: "Overview") -> Table:
    return table(("waits", "status", "oldest since", "due"), _waiting_rows(seen))


def _waiting_rows(seen: "Overview") -> Iterable[Sequence[Any]]:
    if seen.database is None:
        return
    lists = {
        "event": seen.database.events,
        "request": seen.database.requests,
        "notice": seen.database.notices,
    }
    for name, waiting in lists.items():
        for each in waiting:
            yield name, each.status, short_time(each.since_ms), short_time(each.due_at_ms)
    for name, dead in (("event", seen.database.dead_events), ("notice", seen.database.dead_notices)):
        if dead.count:
            yield name, f"dead: {_count(dead)}", short_time(dead.oldest_ms), None


def _vendors(vendors: Sequence[VendorStatus]) -> Table:
    rows = ((_plain(each.name), _plain(_vendor_said(each))) for each in vendors)
    return table(("vendor", "says of itself"), rows)


def _vendor_said(each: VendorStatus) -> str:
    return f"unknown: {each.text}" if each.well is None else each.text


def _lines(seen: "Overview", hours: int) -> Iterable[str]:
    if seen.redis:
        counts = ", ".join(f"{name} {_total(seen.redis.minutes, name):,}" for name in COUNTS)
        yield f"in {hours} h: {counts}"
    for hold in seen.database.holds if seen.database else []:
        since = short_time(hold.placed_at_ms)
        yield f"nothing is sent: {hold.kind} by {hold.placed_by} since {since}: {hold.reason}"
    if seen.database and seen.database.recovery:
        since = short_time(seen.database.recovery.began_at_ms)
        yield f"nothing is sent: the database was restored; a recovery is open since {since}"
    if seen.mode.shadow_mode:
        yield "nothing is sent: shadow mode"
    yield f"{seen.level}: {seen.mode.environment}, {'live' if seen.mode.livemode else 'test'} mode"


def _said(vital: Vital, part: Part | None) -> str:
    if part is None:
        return "nothing to judge by lately"
    return f"{_value(vital, part.value)} ({part.name}: {part.text})"


def _value(vital: Vital, value: float) -> str:
    return f"{value:.0f} ms" if vital == Vital.P95_LATENCY else f"{value * 100:.2f} %"


def _dependency(latency_ms: float | None, text: str) -> str:
    return text if latency_ms is None else f"{text}, {latency_ms:.1f} ms"


def _total(minutes: "Sequence[Minute]", name: str) -> int:
    return sum(getattr(minute, name) for minute in minutes)


def _count(dead: "Dead") -> str:
    from payouts.storage.age_queries import COUNTED_MOST

    return f"{dead.count:,}" if dead.count < COUNTED_MOST else f"{dead.count:,} or more"


def _plain(said: str) -> Text:
    # As text, not as rich's markup, and without what would steer the terminal: some comes from outside.
    return Text("".join(c if c.isprintable() else " " for c in said))
