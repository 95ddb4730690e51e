"""Events applied per second, from a full queue."""

import subprocess
import time

import dramatiq

from bench.bed import Bed, pause, resident_mb
from bench.events import new_events
from payouts.ids import IdMaker
from payouts.settings import load_settings
from payouts.storage.inbox import add_events
from payouts.stores import open_redis
from tests.support.servers import wait_until
from workers.broker import WakingRedisBroker
from workers.messages import EVENTS_QUEUE, Messages

PROCESSES = 2
NAMESPACE = "payouts"


def applied(bed: Bed, events: int, *, together: bool, processes: int = PROCESSES) -> tuple[float, float]:
    """Fill the inbox and the queue, start the workers; returns (events/s, resident MB of one worker).

    `together`: messages as the receiver sends them under load, a hundred ids each. Otherwise one id a
    message and one transaction an event.
    """
    client = open_redis(load_settings(database_url=bed.database_url, redis_url=bed.redis.url), 5)
    messages = Messages(client, NAMESPACE)
    make_id = IdMaker()
    for group in new_events(events):
        with bed.engine.begin() as connection:
            ids = add_events(connection, group, make_id)
        if together:
            messages.apply(ids)
        else:
            for inbox_id in ids:
                messages.apply([inbox_id])
    client.close()
    env = {} if together else {"APPLY_BATCH_MAX": "1"}
    workers, took_s = _drain(bed, ("workers", "worker"), env, lambda: _open(bed) == 0, processes=processes)
    memory = max(resident_mb(worker) for worker in workers)
    for worker in workers:
        bed.end(worker)
    pause()
    return events / took_s, memory


def empty_actor(bed: Bed, count: int) -> float:
    """Messages per second through an actor that does nothing, on the same number of processes."""
    client = open_redis(load_settings(database_url=bed.database_url, redis_url=bed.redis.url), 5)
    broker = WakingRedisBroker(client, NAMESPACE, middleware=[])
    for number in range(count):
        broker.enqueue(
            dramatiq.Message(
                queue_name=EVENTS_QUEUE, actor_name="empty", args=(number,), kwargs={}, options={}
            )
        )
    key = f"{NAMESPACE}:{EVENTS_QUEUE}.msgs"
    workers, took_s = _drain(
        bed, ("bench.alternatives", "empty-actor"), {}, lambda: client.hlen(key) == 0, count
    )
    for worker in workers:
        bed.end(worker)
    client.close()
    return count / took_s


def _drain(
    bed: Bed,
    module: tuple[str, ...],
    env: dict[str, str],
    is_done: object,
    count: int = 0,
    processes: int = PROCESSES,
) -> tuple[list[subprocess.Popen[bytes]], float]:
    # Timed from the first sign of work, so that starting Python is not measured.
    assert callable(is_done)
    began_at = _began(bed, count)
    workers = [bed.start(*module, core=None, **env) for _ in range(processes)]
    wait_until("the workers begin", began_at, 60, every_s=0.002)
    started = time.perf_counter()
    wait_until("the queue is empty", is_done, 300, every_s=0.05)
    return workers, time.perf_counter() - started


def _began(bed: Bed, count: int) -> object:
    if count:
        key = f"{NAMESPACE}:{EVENTS_QUEUE}.msgs"
        client = bed.redis.client
        return lambda: client.hlen(key) < count
    before = _open(bed)
    return lambda: _open(bed) < before


def _open(bed: Bed) -> int:
    return int(bed.scalar("SELECT COUNT(*) FROM inbox WHERE status IN ('received', 'retrying')"))
