"""Payouts submitted per second, beside the same calls made without database and queue.

Each measurement has a sandbox of its own, with a balance that suffices, without faults, limits or endpoints,
in which payouts stay pending: it does nothing but answer.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from bench.bed import Bed, pause
from bench.money import AMOUNT_MINOR, CURRENCY, add_partners, add_requests, new_partner, new_request
from payouts.ids import IdMaker
from payouts.settings import load_settings
from payouts.stores import open_redis
from tests.support.sandbox import KEY, Sandbox
from tests.support.servers import free_port, wait_until
from workers.messages import PAYOUTS_QUEUE, Messages

PROCESSES = 2
THREADS = 8
"""Of each process, as many as a worker has for payouts by default."""
POOLS = 5
"""Of a worker: each says in Redis that it listens."""
PARTNERS = 400
ROWS_AT_ONCE = 500
STAY_S = 86_400.0
CORES: dict[str, int | None] = {"sandbox": None, "clients": None}
Account = tuple[str, str]
"""A Stripe account and its bank account."""


def submitted(bed: Bed, payouts: int, rounds: int, work_s: float = 0.0) -> dict[str, float]:
    """Payouts submitted per second, medians of rounds in which all take turns.

    `work_s`: how long Stripe takes over each call. Without it nothing is waited for but the machine.
    """
    variants: dict[str, Callable[[Bed, int, float], float]] = {
        "service": _service,
        "bare calls": lambda bed, count, work_s: _bare(bed, count, "sdk", work_s),
        "bare calls without the SDK": lambda bed, count, work_s: _bare(bed, count, "raw", work_s),
    }
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, measure in variants.items():
            bed.fresh()
            rates[name].append(measure(bed, payouts, work_s))
            pause()
    return {name: statistics.median(found) for name, found in rates.items()}


def _service(bed: Bed, count: int, work_s: float) -> float:
    with _sandbox(bed, count, work_s) as (sandbox, accounts):
        client = open_redis(load_settings(database_url=bed.database_url, redis_url=bed.redis.url), 5)
        _queue(bed, Messages(client, "prepared"), accounts, count)
        env = {
            **sandbox.settings,
            "STRIPE_CALLS_PER_S": "1000000",
            "STRIPE_PAYOUTS_PER_S": "1000000",
            "BANK_COOLING_OFF_HOURS": "0",
            "BANK_ACCOUNT_APPROVAL": "false",
            "SENDER_THREADS": str(THREADS),
            "QUEUE_NAMESPACE": "bench",
        }
        workers = [bed.start("workers", "worker", core=CORES["clients"], **env) for _ in range(PROCESSES)]
        pools = POOLS * PROCESSES
        wait_until("the workers listen", lambda: client.zcard("bench:__heartbeats__") == pools, 60)
        pause()
        began = time.monotonic()
        with client.pipeline() as pipe:
            for part in ("", ".msgs"):
                pipe.rename(f"prepared:{PAYOUTS_QUEUE}{part}", f"bench:{PAYOUTS_QUEUE}{part}")
            pipe.execute()
        wait_until("all are sent", lambda: _is_through(bed), 300, every_s=0.02)
        took_s = time.monotonic() - began
        sent = bed.scalar("SELECT COUNT(*) FROM payout_requests WHERE status = 'sent'")
        assert sent == count, f"{sent} of {count} payouts were sent"
        for worker in workers:
            bed.end(worker)
        client.close()
    return count / took_s


def _is_through(bed: Bed) -> bool:
    query = "SELECT id FROM payout_requests WHERE status IN ('queued', 'sending') LIMIT 1"
    return bed.scalar(query) is None


def _queue(bed: Bed, messages: Messages, accounts: list[Account], count: int) -> None:
    """Requests of all partners in turn, each with its message."""
    make_id = IdMaker()
    partners = [new_partner(make_id(), *account) for account in accounts]
    with bed.engine.begin() as connection:
        add_partners(connection, partners)
    requests = [new_request(make_id(), partners[number % len(partners)]) for number in range(count)]
    for start in range(0, count, ROWS_AT_ONCE):
        with bed.engine.begin() as connection:
            add_requests(connection, requests[start : start + ROWS_AT_ONCE], make_id)
    for request in requests:
        messages.send_payout(request.id)


def _bare(bed: Bed, count: int, kind: str, work_s: float) -> float:
    with _sandbox(bed, count, work_s) as (sandbox, accounts):
        processes = []
        for number in range(PROCESSES):
            file = bed.folder / f"calls-{number}"
            mine = [accounts[turn % len(accounts)] for turn in range(number, count, PROCESSES)]
            file.write_text("".join(f"{account} {bank}\n" for account, bank in mine))
            pin = [] if CORES["clients"] is None else ["taskset", "-c", str(CORES["clients"])]
            command = [*pin, sys.executable, "-m", "bench.calls", kind, str(file), str(THREADS)]
            processes.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, **sandbox.settings},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        pause()
        told = [process.communicate()[0] for process in _going(processes)]
        spans = [json.loads(text) for text in told]
    return count / (max(span["ended"] for span in spans) - min(span["began"] for span in spans))


def _going(processes: list["subprocess.Popen[str]"]) -> list["subprocess.Popen[str]"]:
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


@contextmanager
def _sandbox(bed: Bed, count: int, work_s: float) -> Iterator[tuple[Sandbox, list[Account]]]:
    settings = bed.folder / "sandbox.json"
    wanted = {"in_transit_after_s": STAY_S, "paid_after_s": STAY_S, "work_s": work_s}
    settings.write_text(json.dumps(wanted))
    port = free_port()
    flags = ("--api-key", KEY, "--port", str(port), "--settings", str(settings))
    process = bed.start("sandbox", *flags, core=CORES["sandbox"])
    sandbox = Sandbox(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        try:
            return bool(sandbox.about())
        except httpx.HTTPError:
            return False

    wait_until("the sandbox answers", answers, 30)
    sandbox.top_up(count * AMOUNT_MINOR, CURRENCY)
    made = [
        sandbox.ask("POST", "/accounts", {"country": "DE", "currency": CURRENCY}) for _ in range(PARTNERS)
    ]
    try:
        yield sandbox, [(account["id"], account["external_accounts"]["data"][0]["id"]) for account in made]
    finally:
        sandbox.close()
        bed.end(process)
