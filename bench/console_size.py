"""The console beside a large database: how soon its pages answer, and what open pages cost the receiver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.bed import LOAD_CORE, Bed, pause
from bench.console_pages import GOAL_MS, Took, asked, paths_of
from bench.console_rows import Size, new_size
from bench.console_tables import fill
from bench.events import PATH, bodies, sign
from bench.latency import EVENTS_PER_S, percentiles
from payouts.access import Step, add_person, give_person_token
from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.people import BOOTSTRAP, Role
from tests.support.servers import free_port, wait_until

OPEN_PAGES = 50
STEADY_S = 20
MOST_S = 4
MOST_PER_S = 20_000
CONNECTIONS = 256
BARE = "/sign-in"
"""A page that asks no database."""


def report(bed: Bed, events: int, payouts: int, times: int, rounds: int) -> None:
    """Print both tables."""
    bed.fresh()
    size = new_size(events, payouts)
    began = time.monotonic()
    rows = dict(fill(bed.database_url, size))
    print(f"| rows made | {sum(rows.values()):,} in {time.monotonic() - began:,.0f} s | | | – |", flush=True)
    report_pages(bed, size, times)
    report_live(bed, rounds)


def report_pages(bed: Bed, size: Size, times: int) -> None:
    """Each page, the slowest first; then what any page costs at least."""
    with _console(bed) as site:
        with bed.engine.connect() as connection:
            paths = paths_of(connection, size)
        took = sorted(asked(site.client, paths, times), key=lambda one: -one.p95_ms)
        bare = next(asked(site.client, [BARE], times))
    about = f"{size.events:,} events, {size.payouts:,} payouts"
    over = sum(one.p95_ms > GOAL_MS for one in took)
    print(f"| pages over the goal; {about} | {over} of {len(took)} | | | 0 |")
    for one in [*took, bare]:
        print(_row(one), flush=True)
    p50, p95 = _select_1(bed, times)
    print(f"| `SELECT 1`, p50 and p95 | {p50:.1f} ms, {p95:.1f} ms | | | – |", flush=True)


def report_live(bed: Bed, rounds: int) -> None:
    """The receiver alone and beside open pages, by turns."""
    receiver, port = bed.serve("webhooks")
    steady: dict[bool, list[float]] = {False: [], True: []}
    most: dict[bool, list[float]] = {False: [], True: []}
    watched = Watched()
    with _console(bed, core=LOAD_CORE) as site:
        for turn in range(rounds * 2):
            beside = turn % 2 == 1
            with _open_pages(bed, site, watched) if beside else _nothing():
                steady[beside] += _answered(port, STEADY_S)
                most[beside].append(bed.wrk(port, CONNECTIONS, MOST_S, MOST_PER_S))
            pause()
    bed.end(receiver)
    (p50, p99), (alone50, alone99) = (percentiles(sorted(steady[beside])) for beside in (True, False))
    rate, alone = (sum(most[beside]) / len(most[beside]) for beside in (True, False))
    print(
        f"| answered, {EVENTS_PER_S} events/s, {OPEN_PAGES} open pages, p50 and p99 "
        f"| {p50:.1f} ms, {p99:.1f} ms "
        f"| none: {alone50:.1f} ms, {alone99:.1f} ms | {p99 / alone99:.2f} | ≤ 1.1 |"
    )
    print(
        f"| acknowledged/s, {CONNECTIONS} connections, {OPEN_PAGES} open pages | {rate:,.0f} "
        f"| none: {alone:,.0f} | {rate / alone:.2f} | ≥ 0.95 |"
    )
    each = (" ".join(f"{one:,.0f}" for one in most[beside]) for beside in (True, False))
    print(f"| the rounds of that | {next(each)} | none: {next(each)} | | – |")
    share, per_s = watched.cpu_s / watched.took_s, watched.asked / watched.took_s
    print(f"| the console meanwhile | {share:.0%} of a core | {per_s:.1f} pages/s | | – |")


@dataclass(frozen=True, slots=True)
class _Site:
    process: subprocess.Popen[bytes]
    port: int
    client: httpx.Client


@dataclass(slots=True)
class Watched:
    """What open pages asked of the console, and what that cost it, in all turns."""

    took_s: float = 0.0
    cpu_s: float = 0.0
    asked: int = 0


@contextmanager
def _console(bed: Bed, core: int | None = None) -> Iterator[_Site]:
    """A console of its own, with somebody signed in as admin."""
    port = free_port()
    process = bed.start("console.web", core=core, CONSOLE_PORT=str(port), CONSOLE_PER_MINUTE="0")
    base = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{base}{BARE}", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until("the console answers", answers, 60)
    with httpx.Client(base_url=base, timeout=60) as client:
        answer = client.post(BARE, data={"token": _token(bed)})
        assert answer.status_code == 303, answer.text
        yield _Site(process, port, client)
    bed.end(process)


def _token(bed: Bed) -> str:
    with bed.engine.begin() as connection:
        step = Step(connection, IdMaker(), now_ms(), BOOTSTRAP)
        person = add_person(step, f"bench-{now_ms()}", Role.ADMIN)
        return give_person_token(step, person, "bench", None, 1).secret


@contextmanager
def _open_pages(bed: Bed, site: _Site, watched: Watched) -> Iterator[None]:
    cookie = "; ".join(f"{name}={value}" for name, value in site.client.cookies.items())
    command = [sys.executable, "-m", "bench.console_clients", str(site.port), cookie, str(OPEN_PAGES)]
    pinned = ["taskset", "-c", str(LOAD_CORE), *command]
    with subprocess.Popen(pinned, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdout
        assert clients.stdout.readline() == "listening\n"
        began, cpu_s = time.monotonic(), _cpu_s(site.process)
        yield
        watched.took_s += time.monotonic() - began
        watched.cpu_s += _cpu_s(site.process) - cpu_s
        clients.send_signal(signal.SIGTERM)
        said = clients.stdout.read()
    if "failed" in said:
        raise SystemExit(f"open pages did not stay open:\n{said}")
    watched.asked += int(said.rpartition(" ")[2])


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _answered(port: int, seconds: int) -> list[float]:
    """How long the receiver took for each of EVENTS_PER_S, in ms."""
    took_ms = []
    with httpx.Client() as client:
        due = time.perf_counter()
        for body in bodies(EVENTS_PER_S * seconds):
            due += 1 / EVENTS_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            headers = {"Stripe-Signature": sign(body)}
            began = time.perf_counter()
            response = client.post(f"http://127.0.0.1:{port}{PATH}", content=body, headers=headers)
            took_ms.append((time.perf_counter() - began) * 1000)
            assert response.status_code == 200
    return took_ms


def _select_1(bed: Bed, times: int) -> tuple[float, float]:
    took = []
    with bed.engine.connect() as connection:
        for _ in range(times):
            began = time.perf_counter()
            connection.exec_driver_sql("SELECT 1").scalar()
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[times // 2], took[int(times * 0.95)]


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _row(one: Took) -> str:
    shown = f"{one.p50_ms:.1f} ms, {one.p95_ms:.1f} ms, {one.most_ms:.1f} ms"
    return f"| `{one.path}`, p50, p95 and max | {shown} | cold: {one.cold_ms:.1f} ms | | ≤ {GOAL_MS} ms |"
