"""The console beside a large database: how soon its pages answer, and what open pages cost the receiver."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from bench.bed import LOAD_CORE, Bed, pause
from bench.console_pages import GOAL_MS, Took, asked, paths_of
from bench.console_redis import fill_redis
from bench.console_rows import Size, new_size
from bench.console_tables import fill
from bench.events import PATH, bodies, sign
from bench.latency import EVENTS_PER_S, percentiles
from payouts.access import Step, add_person, give_person_token
from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.people import BOOTSTRAP, Role
from payouts.settings import Settings
from tests.support.servers import free_port, wait_until

OPEN_PAGES = 50
BESIDE = NONE, PAGES, BURN = "none", f"{OPEN_PAGES} open pages", "as much of a core, nothing asked"
STEADY_S = 20
MOST_S = 4
MOST_PER_S = 20_000
CONNECTIONS = 256
NOTE = "console.json"
"""What the kept database has, written once it is full."""
BARE = "/sign-in"
"""A page that asks no database."""


def report(bed: Bed, events: int, payouts: int, times: int, rounds: int) -> None:
    """Print both tables."""
    size = _kept(bed, events, payouts) or _filled(bed, new_size(events, payouts))
    report_pages(bed, size, times)
    report_live(bed, rounds)


def _filled(bed: Bed, size: Size) -> Size:
    bed.fresh()
    began = time.monotonic()
    rows = dict(fill(bed.database_url, size))
    print(f"| rows made | {sum(rows.values()):,} in {time.monotonic() - began:,.0f} s | | | – |", flush=True)
    if bed.keep:
        note = {"database": bed.database_url.rpartition("/")[2], **asdict(size)}
        (bed.keep / NOTE).write_text(json.dumps(note))
    return size


def _kept(bed: Bed, events: int, payouts: int) -> Size | None:
    """How large the database is that a run before filled and kept; None: there is none of that size."""
    if not bed.keep or not (bed.keep / NOTE).exists():
        return None
    note = json.loads((bed.keep / NOTE).read_text())
    database, size = note.pop("database"), Size(**note)
    if (size.events, size.payouts) != (events, payouts):
        return None
    bed.open_kept(database)
    return size


def report_pages(bed: Bed, size: Size, times: int) -> None:
    """Each page, the slowest first; then what any page costs at least."""
    fill_redis(bed.redis.client, Settings.model_fields["queue_namespace"].default)
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
    """The receiver alone, beside open pages, and beside what takes as much of a core, by turns."""
    receiver, port = bed.serve("webhooks")
    steady: dict[str, list[float]] = {name: [] for name in BESIDE}
    most: dict[str, list[float]] = {name: [] for name in BESIDE}
    waited: dict[str, list[float]] = {name: [] for name in BESIDE}
    watched = Watched()
    with _console(bed, core=LOAD_CORE) as site:
        for turn in range(rounds * len(BESIDE)):
            name = BESIDE[turn % len(BESIDE)]
            with _beside(name, bed, site, watched):
                began_s, before_s = time.monotonic(), _waited_s(receiver)
                steady[name] += _answered(port, STEADY_S)
                waited[name].append((_waited_s(receiver) - before_s) / (time.monotonic() - began_s))
                most[name].append(bed.wrk(port, CONNECTIONS, MOST_S, MOST_PER_S))
            pause()
    bed.end(receiver)
    alone = percentiles(sorted(steady[NONE]))
    for name, goal in ((PAGES, "≤ 1.1"), (BURN, "–")):
        p50, p99 = percentiles(sorted(steady[name]))
        print(
            f"| answered, {EVENTS_PER_S} events/s, {name}, p50 and p99 | {p50:.1f} ms, {p99:.1f} ms "
            f"| none: {alone[0]:.1f} ms, {alone[1]:.1f} ms | {p99 / alone[1]:.2f} | {goal} |"
        )
        rate, none = (sum(most[each]) / len(most[each]) for each in (name, NONE))
        print(
            f"| acknowledged/s, {CONNECTIONS} connections, {name} | {rate:,.0f} "
            f"| none: {none:,.0f} | {rate / none:.2f} | {goal.replace('≤ 1.1', '≥ 0.95')} |"
        )
    for name in BESIDE:
        share = sum(waited[name]) / len(waited[name])
        each = " ".join(f"{one:,.0f}" for one in most[name])
        print(f"| {name}: the receiver waits for its core; rates by turn | {share:.1%} | {each} | | – |")
    share, per_s = watched.share, watched.asked / watched.took_s
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

    @property
    def share(self) -> float:
        """Of a core."""
        return self.cpu_s / self.took_s


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
def _beside(name: str, bed: Bed, site: _Site, watched: Watched) -> Iterator[None]:
    if name == PAGES:
        with _open_pages(bed, site, watched):
            yield
    elif name == BURN:
        burning = bed.start("bench.burn", f"{watched.share:.3f}", core=LOAD_CORE)
        yield
        bed.end(burning)
    else:
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


def _waited_s(process: subprocess.Popen[bytes]) -> float:
    """How long its threads have waited for a core that was taken."""
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[1]) for thread in threads) / 1e9


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _row(one: Took) -> str:
    shown = f"{one.p50_ms:.1f} ms, {one.p95_ms:.1f} ms, {one.most_ms:.1f} ms"
    return f"| `{one.path}`, p50, p95 and max | {shown} | cold: {one.cold_ms:.1f} ms | | ≤ {GOAL_MS} ms |"
