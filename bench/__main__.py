"""`make bench`: measures, and prints the table of `bench/README.md`."""

import argparse
import shutil
import sys
from pathlib import Path

from bench.bed import BUFFER_POOL, Bed
from bench.console_size import report
from bench.dead import GOAL_MS, asked, filled
from bench.fill import fill
from bench.latency import percentiles, to_applied
from bench.ledger import checked
from bench.payouts import submitted
from bench.receiver import acknowledged, acknowledged_only
from bench.reconcile import compared
from bench.replays import Beside, dry_run, live_beside_replay, replayed
from bench.workers import PROCESSES, applied, empty_actor

PARTS = ("payouts", "reconcile", "ledger", "dead", "replays", "console")
CONSOLE_TIMES, CONSOLE_PAYOUTS_EACH = 40, 5
"""How often each page is asked for; events for each payout."""
LIVE_S = 20
LIVE_DEAD = 60_000
"""Dead events that a replay of LIVE_S does not come to the end of."""
THINKS_S = 0.2
"""How long Stripe may take over a call: a few tenths of a second are usual."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=40_000, help="events to apply")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows in the full inbox; 0 leaves it out")
    parser.add_argument("--only", choices=[*PARTS], help="measure this alone")
    parser.add_argument("--sent", type=int, default=3_000, help="payouts to send")
    parser.add_argument("--payouts", type=int, default=100_000, help="payouts to compare with Stripe")
    parser.add_argument("--postings", type=int, default=1_000_000, help="postings to check")
    parser.add_argument("--history", type=int, default=1_000_000, help="events in the inbox with dead ones")
    parser.add_argument("--dead", type=int, default=100_000, help="dead ones among them, and to replay")
    parser.add_argument("--payload", type=int, default=200, help="bytes of a payload in that inbox")
    parser.add_argument("--times", type=int, default=100, help="how often each question about it is asked")
    parser.add_argument(
        "--keep", type=Path, help="keep the console's database in this folder, and use it if it is there"
    )
    options = parser.parse_args()
    if options.keep and options.only != "console":
        parser.error("--keep goes with --only console")
    for program in ("wrk", "taskset", "mariadbd", "redis-server"):
        if not shutil.which(program):
            sys.exit(f"bench needs {program}: apt-get install wrk util-linux mariadb-server redis-server")
    with Bed(options.keep) as bed:
        if not options.only:
            print("Service on core 0, load on core 1; MariaDB (flush at every commit, buffer pool")
            print(
                f"{BUFFER_POOL}) and Redis (append-only, everysec) unpinned; events of 1 to 3 KB; medians of"
            )
            print("interleaved rounds.")
        print("\n| what | measured | ceiling or alternative | ratio | goal |\n|---|---|---|---|---|")
        if not options.only:
            measure(bed, options.rounds, options.events, options.rows)
        if options.only in (None, "payouts"):
            send_payouts(bed, options.sent, options.rounds)
        if options.only in (None, "reconcile"):
            compare_with_stripe(bed, options.payouts)
        if options.only in (None, "ledger"):
            check_ledger(bed, options.postings)
        if options.only in (None, "dead"):
            ask_about_dead(bed, options.history, options.dead, options.payload, options.times)
        if options.only in (None, "replays"):
            replay(bed, options.dead)
        if options.only == "console":  # not by itself: its rows take a quarter of an hour
            events = options.history
            report(bed, events, events // CONSOLE_PAYOUTS_EACH, CONSOLE_TIMES, options.rounds)


def measure(bed: Bed, rounds: int, events: int, rows: int) -> None:
    many = acknowledged(bed, 256, rounds)
    row("acknowledged/s, 256 connections", many["service"], "only verifies", many["only verifies"], "≥ 0.6")
    bed.fresh()
    few = acknowledged(bed, 16, rounds)
    row("acknowledged/s, 16 connections", few["service"], "only verifies", few["only verifies"], "≥ 0.35")
    for count, rates, goal in ((256, many, "≥ 10"), (16, few, "–")):
        for name in ("groups of one", "commit per request"):
            row(f"acknowledged/s, {count} connections", rates["service"], name, rates[name], goal)
    bed.fresh()
    together, worker_mb = applied(bed, events, together=True)
    bed.fresh()
    empty = empty_actor(bed, events // 2)
    bed.fresh()
    alone, _ = applied(bed, events // 10, together=False)
    row(f"applied/s, {PROCESSES} processes", together, "empty actor", empty, "≥ 1.5")
    row(f"applied/s, {PROCESSES} processes", together, "one transaction an event", alone, "≥ 10")
    bed.fresh()
    times = to_applied(bed, 20)
    for name, goal in (("applied", "≤ 10, ≤ 50"), ("answered", "–"), ("bare commit", "–"), ("bare SET", "–")):
        p50, p99 = times[name]
        label = "acknowledgement to applied" if name == "applied" else name
        print(f"| {label}, 50 events/s, p50 and p99 | {p50:.1f} ms, {p99:.1f} ms | | | {goal} |", flush=True)
    print(f"| resident memory under that load: receiver | {many['memory_mb']:.0f} MB | | | ≤ 120 MB |")
    print(f"| resident memory under that load: one worker | {worker_mb:.0f} MB | | | ≤ 150 MB |", flush=True)
    if rows:
        compare_full(bed, events, rows)


def compare_with_stripe(bed: Bed, payouts: int) -> None:
    """Ten times as many payouts take ten times as long, and no more memory."""
    bed.fresh()
    few, _ = compared(bed.engine, payouts // 10)
    bed.fresh()
    many, grown_mb = compared(bed.engine, payouts)
    row(f"payouts compared/s, {payouts:,} of them", many, f"{payouts // 10:,} of them", few, "≥ 0.5")
    print(f"| memory grown by while comparing {payouts:,} payouts | {grown_mb:.1f} MB | | | ≤ 20 MB |")


def send_payouts(bed: Bed, count: int, rounds: int) -> None:
    """Beside the calls alone, made by as many processes and threads."""
    rates = submitted(bed, count, rounds)
    for name, goal in (("bare calls", "≥ 0.7"), ("bare calls without the SDK", "–")):
        row("payouts submitted/s, 2 processes", rates["service"], name, rates[name], goal)
    rates = submitted(bed, count // 3, rounds, THINKS_S)
    what = f"the same, where each call takes {THINKS_S * 1000:.0f} ms"
    row(what, rates["service"], "bare calls", rates["bare calls"], "–")


def check_ledger(bed: Bed, postings: int) -> None:
    """Ten times as many postings take ten times as long, and no more memory."""
    bed.fresh()
    few, _ = checked(bed.engine, bed.database_url, postings // 10)
    bed.fresh()
    many, grown_mb = checked(bed.engine, bed.database_url, postings)
    row(f"postings checked/s, {postings:,} of them", many, f"{postings // 10:,} of them", few, "≥ 0.5")
    print(f"| memory grown by while checking {postings:,} postings | {grown_mb:.1f} MB | | | ≤ 50 MB |")


def ask_about_dead(bed: Bed, events: int, dead: int, payload_bytes: int, times: int) -> None:
    """The very functions behind `payouts dead` and `payouts event list`."""
    history = filled(bed, events, dead, payload_bytes)
    about = f"{events:,} events, {dead:,} dead"
    for name, p50, p95 in asked(bed, history, times):
        print(f"| {name}; {about}, p50 and p95 | {p50:.1f} ms, {p95:.1f} ms | | | ≤ {GOAL_MS} |", flush=True)


def replay(bed: Bed, dead: int) -> None:
    """Alone beside live processing by as many processes; a dry run; live events beside both."""
    for processes in (1, 2):
        bed.fresh()
        live, _ = applied(bed, dead, together=True, processes=processes)
        bed.fresh()
        again = replayed(bed, dead, processes)
        row(f"replayed/s, {processes} worker processes", again, "live events applied/s", live, "≥ 0.5")
    bed.fresh()
    tried = dry_run(bed)
    print(f"| dry run of {tried.events:,} events, {tried.payouts:,} payouts | {tried.took_s:.0f} s | | | – |")
    print(f"| memory grown by meanwhile | {tried.grown_mb:.1f} MB | | | ≤ 100 MB |")
    live_row("live events during the dry run", tried.live)
    bed.fresh()
    beside = live_beside_replay(bed, LIVE_DEAD, LIVE_S)
    live_row(f"live events during a replay ({beside.rate_per_s:,.0f}/s)", beside)


def live_row(what: str, measured: Beside) -> None:
    """p99 beside p99."""
    (p50, p99), (alone50, alone99) = (percentiles(ms) for ms in (measured.beside_ms, measured.alone_ms))
    other = f"alone: {alone50:.1f} ms, {alone99:.1f} ms"
    ratio = p99 / alone99
    print(f"| {what}, p50 and p99 | {p50:.1f} ms, {p99:.1f} ms | {other} | {ratio:.2f} | ≤ 2 |", flush=True)


def compare_full(bed: Bed, events: int, rows: int) -> None:
    """Both rates with an empty inbox, then with a full one; the best of two, for each is measured alone."""
    empty = []
    for _ in range(2):
        bed.fresh()
        empty.append((acknowledged_only(bed, 256), applied_on_top(bed, events)))
    bed.fresh()
    fill(bed, rows)
    full = [(acknowledged_only(bed, 256), applied_on_top(bed, events)) for _ in range(2)]
    for index, what in enumerate(("acknowledged/s", "applied/s")):
        best, best_empty = (max(pair[index] for pair in pairs) for pairs in (full, empty))
        row(f"{what} with {rows:,} rows", best, "empty inbox", best_empty, "≥ 0.9")


def applied_on_top(bed: Bed, events: int) -> float:
    """Events applied per second, with what the inbox holds already finished."""
    bed.redis.client.flushall()
    bed.run("UPDATE inbox SET status = 'applied' WHERE status = 'received'")
    return applied(bed, events, together=True)[0]


def row(what: str, measured: float, beside: str, other: float, goal: str) -> None:
    print(
        f"| {what} | {measured:,.0f} | {beside}: {other:,.0f} | {measured / other:.2f} | {goal} |", flush=True
    )


if __name__ == "__main__":
    main()
