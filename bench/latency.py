"""From acknowledgement to applied at 50 events a second, beside the bare round trips to both stores."""

import time
from collections.abc import Callable, Iterable, Sequence

import httpx
import pymysql

from bench.bed import Bed
from bench.events import PATH, bodies, sign
from payouts.event import read_envelope

EVENTS_PER_S = 50


def to_applied(bed: Bed, seconds: int) -> dict[str, tuple[float, float]]:
    """(p50, p99) in ms of: acknowledgement to applied, the answer itself, a bare commit, a bare SET."""
    receiver, port = bed.serve("webhooks")
    worker = bed.start("workers", "worker", core=None)
    connection = bed.sql.connect(bed.database_url.rpartition("/")[2])
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE bare (id BIGINT PRIMARY KEY) ENGINE=InnoDB")
    redis_client = bed.redis.client
    applied, answered, commit, set_ = [], [], [], []
    with httpx.Client() as client:
        url = f"http://127.0.0.1:{port}{PATH}"
        time.sleep(3)  # the worker has started and fallen idle
        due = time.perf_counter()
        for number, body in enumerate(bodies(EVENTS_PER_S * seconds)):
            due += 1 / EVENTS_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            response = client.post(url, content=body, headers={"Stripe-Signature": sign(body)})
            acknowledged = time.perf_counter()
            assert response.status_code == 200
            _wait_applied(cursor, read_envelope(body).event_id)
            applied.append(time.perf_counter() - acknowledged)
            answered.append(acknowledged - began)
            if number % 5 == 0:
                commit.append(_timed(lambda n=number: cursor.execute("INSERT INTO bare VALUES (%s)", (n,))))
                set_.append(_timed(lambda: redis_client.set("bare", "1")))
    connection.close()
    bed.end(worker)
    bed.end(receiver)
    names = ("applied", "answered", "bare commit", "bare SET")
    return dict(zip(names, map(_percentiles_ms, (applied, answered, commit, set_)), strict=True))


def each_applied(bed: Bed, port: int, events: Iterable[bytes]) -> list[float]:
    """Deliver events to the receiver at `port`, EVENTS_PER_S; how long each took from its answer until it
    was applied, in ms and sorted."""
    took_ms = []
    connection = bed.sql.connect(bed.database_url.rpartition("/")[2])
    with httpx.Client() as client, connection.cursor() as cursor:
        due = time.perf_counter()
        for body in events:
            due += 1 / EVENTS_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            headers = {"Stripe-Signature": sign(body)}
            response = client.post(f"http://127.0.0.1:{port}{PATH}", content=body, headers=headers)
            acknowledged = time.perf_counter()
            assert response.status_code == 200
            _wait_applied(cursor, read_envelope(body).event_id)
            took_ms.append((time.perf_counter() - acknowledged) * 1000)
    connection.close()
    return sorted(took_ms)


def _wait_applied(cursor: pymysql.cursors.Cursor, event_id: str) -> None:
    deadline = time.perf_counter() + 10
    while time.perf_counter() < deadline:
        cursor.execute("SELECT status FROM inbox WHERE event_id = %s", (event_id,))
        row = cursor.fetchone()
        if row and row[0] != "received":
            return
        time.sleep(0.0005)
    raise SystemExit(f"{event_id} was not applied within 10 s")


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def percentiles(ordered: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 of sorted values."""
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def _percentiles_ms(values_s: list[float]) -> tuple[float, float]:
    return percentiles(sorted(value * 1000 for value in values_s))
