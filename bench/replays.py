"""Replays beside live traffic: how fast they are alone, what a dry run takes, and what live events notice."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bed import Bed, pause
from bench.events import bodies, new_events
from bench.latency import EVENTS_PER_S, each_applied
from bench.workers import NAMESPACE
from payouts.bootstrap import open_what_if
from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.replay import Replay, ReplayStatus, Selection
from payouts.replaying import ask
from payouts.settings import load_settings
from payouts.states import EventStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.engine import build_engine
from payouts.storage.failure_tables import inbox_failures
from payouts.storage.inbox import _COLUMNS, NewEvent, _row
from payouts.storage.queries import reading
from payouts.storage.replay_rows import find_replay, newest_id
from payouts.storage.tables import inbox
from payouts.stores import open_redis
from payouts.what_if import EVENTS_MOST
from tests.support.servers import wait_until
from workers.messages import Messages

FINGERPRINT = "b" * 16
ERROR = "ZeroDivisionError: a bug that is mended"
ATTEMPTS = 3
UNCONFIRMED = {"REPLAY_CONFIRM_ABOVE": "10000000"}
WITHIN_S = 600
_ANNA = Actor("bench", 1, 1, frozenset(Scope))
_make_id = IdMaker()


def replayed(bed: Bed, events: int, processes: int) -> float:
    """Dead events replayed a second, without a limit, from the first one that is selected to the last."""
    bury(bed, events)
    replay = _ask(bed)
    workers = [bed.start("workers", "worker", core=None, **UNCONFIRMED) for _ in range(processes)]
    wait_until("the replay begins", lambda: _now(bed, replay).position >= 0, 60, every_s=0.002)
    began = time.perf_counter()
    wait_until("the replay ends", lambda: _now(bed, replay).status == ReplayStatus.DONE, WITHIN_S, 0.05)
    took_s = time.perf_counter() - began
    for worker in workers:
        bed.end(worker)
    ended = _now(bed, replay)
    assert (ended.total, ended.applied) == (events, events), ended
    pause()
    return events / took_s


@dataclass(frozen=True, slots=True)
class Beside:
    """How long live events took until they were applied, in ms and sorted: alone, and beside something."""

    alone_ms: Sequence[float]
    beside_ms: Sequence[float]
    rate_per_s: float = 0
    """At which the replay ran meanwhile."""


def live_beside_replay(bed: Bed, events: int, seconds: int) -> Beside:
    """Live events alone, then during a replay without a limit of so many events that it lasts."""
    bury(bed, events)
    with_worker = _Live(bed)
    alone = with_worker.applied_ms(bodies(EVENTS_PER_S * seconds))
    replay = _ask(bed)
    wait_until("the replay runs", lambda: _now(bed, replay).done > 0, 60)
    before, began = _now(bed, replay).done, time.perf_counter()
    beside = with_worker.applied_ms(bodies(EVENTS_PER_S * seconds))
    after = _now(bed, replay)
    rate = (after.done - before) / (time.perf_counter() - began)
    with_worker.end()
    assert after.status == ReplayStatus.RUNNING, "it was over too soon: give it more events"
    return Beside(alone, beside, rate)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a preview of `events` took, and what live events noticed meanwhile."""

    events: int
    payouts: int
    took_s: float
    grown_mb: float
    live: Beside


def dry_run(bed: Bed, events: int = EVENTS_MOST) -> DryRun:
    """A dry run in a process of its own; live events meanwhile, half of them about the same payouts."""
    buried = bury(bed, events)
    live = _Live(bed)
    alone = live.applied_ms(bodies(EVENTS_PER_S * 10))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(_nothing)
        running = pool.apply_async(_preview, (bed.database_url, bed.redis.url))
        beside: list[float] = []
        while not running.ready():
            # A few at a time: each of these bodies is about a payout that is tried now or was, or will be.
            same = [_again(event) for event in buried[len(beside) :: events // EVENTS_PER_S][:EVENTS_PER_S]]
            mixed = [body for pair in zip(same, bodies(len(same)), strict=True) for body in pair]
            beside += live.applied_ms(mixed)
        payouts, took_s, grown_mb = running.get()
    live.end()
    return DryRun(events, payouts, took_s, grown_mb, Beside(alone, sorted(beside)))


def bury(bed: Bed, events: int) -> list[NewEvent]:
    """Events about payouts that all died of a bug that is mended by now."""
    buried = []
    columns = (
        *("id", "account", "event_id", "type", "object_id", "status", "fingerprint", "error"),
        *("first_failed_at_ms", "failed_at_ms"),
    )
    for group in new_events(events):
        rows = [(*_row(each)[:12], "dead", each.received_at_ms, ATTEMPTS, 0, each.payload) for each in group]
        failures = [
            (
                *(each.id, each.envelope.account, each.envelope.event_id, each.envelope.type),
                *(each.envelope.object_id, EventStatus.DEAD, FINGERPRINT, ERROR),
                *(each.received_at_ms, each.received_at_ms),
            )
            for each in group
        ]
        with bed.engine.begin() as connection:
            insert_rows(connection, inbox, _COLUMNS, rows)
            insert_rows(connection, inbox_failures, columns, failures)
        buried += group
    return buried


class _Live:
    """A receiver and a worker, for live events."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._receiver, self._port = bed.serve("webhooks")
        self._worker = bed.start("workers", "worker", core=None, **UNCONFIRMED)
        time.sleep(3)  # the worker has started and fallen idle

    def applied_ms(self, events: Iterator[bytes] | list[bytes]) -> list[float]:
        return each_applied(self._bed, self._port, events)

    def end(self) -> None:
        self._bed.end(self._worker)
        self._bed.end(self._receiver)


def _ask(bed: Bed) -> Replay:
    with bed.engine.begin() as connection:
        selection = Selection(status=EventStatus.DEAD)
        replay = ask(connection, selection, _ANNA, "the bug is mended", _make_id, now_ms(), rate_per_s=0)
    client = open_redis(load_settings(database_url=bed.database_url, redis_url=bed.redis.url), 5)
    Messages(client, NAMESPACE).replay(replay.id)
    client.close()
    return replay


def _now(bed: Bed, replay: Replay) -> Replay:
    with reading(bed.engine) as connection:
        found = find_replay(connection, replay.id)
    assert found is not None
    return found


def _again(event: NewEvent) -> bytes:
    """Another event that says the same of the same payout."""
    return event.payload.replace(b'"evt_', b'"evt_again_', 1)


def _nothing() -> None:
    """Called so that the process has started."""


def _preview(database_url: str, redis_url: str) -> tuple[int, float, float]:
    settings = load_settings(database_url=database_url, redis_url=redis_url)
    engine = build_engine(database_url, timeout_s=10, pool_size=1)
    what_if = open_what_if(settings, engine)
    with reading(engine) as connection:
        until_id = newest_id(connection)
    before_mb, began = _peak_mb(), time.monotonic()
    events, _ = what_if.select(Selection(fingerprint=FINGERPRINT), until_id)
    changes: list[Any] = list(what_if.preview(events))  # as the command keeps them
    took_s = time.monotonic() - began
    grown_mb = _peak_mb() - before_mb
    engine.dispose()
    # Live events came first for some of them.
    found = sum(not change.is_nothing for change in changes)
    assert found > len(changes) / 2, "a dry run that finds little to do"
    return len(changes), took_s, grown_mb


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
