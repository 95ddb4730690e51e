"""How the service stands, for metrics: what its database and its Redis know, each asked by itself.

One role tells it, for all processes would tell the same. What does not answer is `payouts_up` 0, and what it
would tell is left out: a 0 that nobody counted would put out an alarm, or raise one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import redis
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from payouts.clock import Clock
from payouts.doctor.diagnosing import said_of
from payouts.emergency_state import Switched
from payouts.exposition import gauge
from payouts.fresh import Answer, Fresh
from payouts.logs import get_logger
from payouts.mode import Mode, ModeNow, Modes
from payouts.notices import NoticeStatus
from payouts.overview import Depths, connections_of
from payouts.states import OPEN_EVENT_STATUSES, RequestStatus
from payouts.storage import standing_queries as queries
from payouts.storage.age_queries import Waiting
from payouts.storage.database_view import DatabaseView, database_view
from payouts.storage.emergency_switch import EmergencySwitch
from payouts.storage.presence import Role
from payouts.storage.queries import reading
from payouts.storage.redis_view import RedisView, redis_view
from payouts.storage.spill import Spill

ROLES: Sequence[Role] = ("receiver", "worker", "scheduler", "api", "console")
_STATUSES = {
    "events": OPEN_EVENT_STATUSES,
    "requests": (RequestStatus.QUEUED,),
    "notices": (NoticeStatus.PENDING, NoticeStatus.ROUTED),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to happen how often, by the settings, in seconds. 0: only by command."""

    walk_s: float
    check_s: float
    proves: bool
    shadow: bool
    emergency: bool
    """By the setting."""


@dataclass(frozen=True, slots=True)
class InDatabase:
    """What the database knows, some fifty rows of it and counts that end at a bound."""

    view: DatabaseView
    modes: Sequence[ModeNow]
    payouts: dict[str, int]
    requests: dict[str, int]
    differences: int
    checks: queries.Checks
    last_event_ms: int | None
    walked_until_s: int | None
    proved_until_s: int | None


@dataclass(frozen=True, slots=True)
class InRedis:
    """What Redis knows."""

    view: RedisView
    emergency: Switched | None
    spilled: int
    spilled_oldest_ms: int | None
    spill_refused: int


def look_into_database(engine: Engine, maintenance: bool) -> InDatabase:
    """Look. Raises what SQLAlchemy raises."""
    view = database_view(engine)
    modes = Modes(engine, lambda: None, maintenance).all_now()
    with reading(engine) as connection:
        return InDatabase(
            view,
            modes,
            queries.payouts_by_status(connection),
            queries.requests_by_status(connection),
            queries.open_differences(connection),
            queries.last_checks(connection),
            queries.last_event_ms(connection),
            queries.walked_until_s(connection),
            queries.proved_until_s(connection),
        )


def look_into_redis(
    client: redis.Redis,
    namespace: str,
    names: Sequence[str],
    spill: Spill,
    clock: Clock,
    depths: Depths | None = None,
) -> InRedis:
    """Look. `names`: of the queues; `depths` tells of those elsewhere. Raises redis.RedisError."""
    view = redis_view(client, namespace, names, 1, 0, clock)
    view = _with_queues(view, depths)
    emergency = EmergencySwitch(client, namespace).read()
    return InRedis(view, emergency, spill.waiting(), spill.oldest_ms(), spill.set_aside())


def _with_queues(view: RedisView, depths: Depths | None) -> RedisView:
    try:
        elsewhere = depths() if depths else None
    except Exception as error:  # noqa: BLE001 - the queue's own errors: this package does not know it
        get_logger().warning("standing.queue_away", error=said_of(error))
        return replace(view, queues=[])
    return view if elsewhere is None else replace(view, queues=elsewhere)


class Standing(Collector):
    """Collects how the service stands."""

    def __init__(
        self, database: Fresh[InDatabase], in_redis: Fresh[InRedis], expected: Expected, clock: Clock
    ) -> None:
        self._database, self._redis = database, in_redis
        self._expected, self._clock = expected, clock

    def collect(self) -> Iterable[Metric]:
        in_redis, in_database = self._redis.now(), self._database.now()
        answers = {"database": in_database, "redis": in_redis}
        yield gauge("payouts_up", {(name,): float(said is not None) for name, said in answers.items()})
        ages = {(name,): said.age_s for name, said in answers.items() if said is not None}
        yield gauge("payouts_look_age_seconds", ages)
        yield from self._modes(in_database, in_redis)
        if in_redis is not None:
            yield from self._of_redis(in_redis.value)
        if in_database is not None:
            yield from self._of_database(in_database.value)
            yield from _connections(in_database.value.view, in_redis.value.view if in_redis else None)

    def _of_redis(self, found: InRedis) -> Iterator[Metric]:
        here = [process.seen.role for process in found.view.processes if process.here]
        yield gauge("payouts_processes", {(role,): here.count(role) for role in ROLES})
        depths: dict[tuple[str, str], float] = {}
        for queue in found.view.queues:
            counts = {"waiting": queue.waiting, "held": queue.held, "delayed": queue.delayed}
            depths |= {(queue.name, state): count for state, count in counts.items() if count is not None}
        yield gauge("payouts_queue_messages", depths)
        yield gauge("payouts_spilled_events", {(): found.spilled})
        yield gauge("payouts_spill_refused_events", {(): found.spill_refused})
        oldest_ms = found.spilled_oldest_ms
        yield gauge(
            "payouts_spilled_oldest_age_seconds", {(): 0 if oldest_ms is None else self._ago(oldest_ms)}
        )

    def _of_database(self, found: InDatabase) -> Iterator[Metric]:
        view, expected = found.view, self._expected
        waiting = {"events": view.events, "requests": view.requests, "notices": view.notices}
        oldest, overdue = {}, {}
        for what, statuses in _STATUSES.items():
            first = {each.status: each for each in waiting[what]}
            for status in statuses:
                oldest[what, str(status)] = self._since(first.get(status))
                overdue[what, str(status)] = self._overdue(first.get(status))
        yield gauge("payouts_oldest_age_seconds", oldest)
        yield gauge("payouts_overdue_seconds", overdue)
        yield gauge(
            "payouts_dead", {("events",): view.dead_events.count, ("notices",): view.dead_notices.count}
        )
        yield gauge("payouts_payouts", {(status,): count for status, count in found.payouts.items()})
        yield gauge("payouts_requests", {(status,): count for status, count in found.requests.items()})
        yield gauge("payouts_differences", {(): found.differences})
        violations = {(name,): count for name, count in found.checks.violations.items()}
        yield gauge("payouts_invariant_violations", violations)
        if found.checks.oldest_ms is not None:
            yield gauge("payouts_invariants_checked_age_seconds", {(): self._ago(found.checks.oldest_ms)})
        if expected.check_s:
            yield gauge("payouts_invariants_check_interval_seconds", {(): expected.check_s})
        if found.last_event_ms is not None:
            yield gauge("payouts_last_event_age_seconds", {(): self._ago(found.last_event_ms)})
        if expected.walk_s:
            yield gauge("payouts_walk_interval_seconds", {(): expected.walk_s})
        if found.walked_until_s is not None:
            yield gauge("payouts_walked_age_seconds", {(): self._ago(found.walked_until_s * 1000)})
        if expected.proves and found.proved_until_s is not None:
            yield gauge("payouts_proved_age_seconds", {(): self._ago(found.proved_until_s * 1000)})

    def _modes(
        self, in_database: Answer[InDatabase] | None, in_redis: Answer[InRedis] | None
    ) -> Iterator[Metric]:
        known: dict[str, float] = {"shadow": float(self._expected.shadow)}
        ages: dict[tuple[str, ...], float] = {}
        if in_database is not None:
            on = {each.mode: each for each in in_database.value.modes}
            for mode in (Mode.RECOVERY, Mode.MAINTENANCE, Mode.STOPPED):
                known[mode] = float(mode in on)
                since_ms = on[mode].since_ms if mode in on else None
                if since_ms is not None:
                    ages[mode,] = self._ago(since_ms)
        if in_redis is not None:
            switched = in_redis.value.emergency
            known[Mode.EMERGENCY] = float(switched is not None or self._expected.emergency)
            if switched is not None and switched.since_ms:
                ages[Mode.EMERGENCY,] = self._ago(switched.since_ms)
        yield gauge("payouts_mode", {(mode,): value for mode, value in known.items()})
        yield gauge("payouts_mode_age_seconds", ages)

    def _since(self, first: Waiting | None) -> float:
        return 0 if first is None else self._ago(first.since_ms)

    def _overdue(self, first: Waiting | None) -> float:
        return 0 if first is None else self._ago(first.due_at_ms)

    def _ago(self, at_ms: int) -> float:
        # By the clock of now, not of the look: an age grows until it is looked at again.
        return max(0, self._clock() - at_ms) / 1000


def _connections(view: DatabaseView, seen: RedisView | None) -> Iterator[Metric]:
    here = [process for process in seen.processes if process.here] if seen else []
    used = [each for each in connections_of(view.connections, here) if each.most > 0]
    yield gauge("payouts_database_connections", {(each.name,): each.used for each in used})
    yield gauge("payouts_database_connections_limit", {(each.name,): each.most for each in used})
