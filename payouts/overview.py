"""Is all well? Everything that the service says of itself, at one glance.

A bounded number of cheap questions, whatever the tables hold: two trips to Redis, some twenty rows of the
database. What does not answer is a dependency that fails; the rest is told all the same.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from payouts.clock import Clock
from payouts.doctor.diagnosing import said_of
from payouts.meters import ABOVE, ANSWERS, LIMITED, TOOK, Key
from payouts.storage.database_view import DatabaseView, database_view
from payouts.storage.minutes import Minutes
from payouts.storage.redis_view import Process, QueueDepth, RedisView, redis_view
from payouts.storage.server_facts import ServerConnections
from payouts.stripe_state import stripe_state
from payouts.vitals import WINDOW_MINUTES, Answers, Level, Sign, Used, judge, worst

HOURS = 6
Depths = Callable[[], Sequence[QueueDepth] | None]
"""Asks the queue how deep each part of it is. None: Redis knows. Raises what the queue raises."""
EXPECTED = ("receiver", "worker", "scheduler")
"""Without a process of each of these events are lost, late or stand still."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How the process that looks is set; others may be set otherwise."""

    environment: str
    livemode: bool
    shadow_mode: bool


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that the service needs. `answers`: None where nobody asked it lately."""

    name: str
    answers: bool | None
    latency_ms: float | None
    text: str

    @property
    def level(self) -> Level:
        """Without the database or Redis the service does not work; without Stripe some of it waits."""
        if self.answers is None:
            return Level.UNKNOWN
        if self.answers:
            return Level.NORMAL
        return Level.WARNING if self.name == "stripe" else Level.CRITICAL


@dataclass(frozen=True, slots=True)
class Overview:
    """How the service is at `at_ms`. `redis` and `database` are None where they did not answer."""

    at_ms: int
    mode: Mode
    signs: Sequence[Sign]
    answers: Mapping[str, Answers]
    """Of the receiver and the API, in the window of the signs."""
    dependencies: Sequence[Dependency]
    redis: RedisView | None
    database: DatabaseView | None

    @property
    def processes(self) -> list[Process]:
        """Those that are there now."""
        return [process for process in self.redis.processes if process.here] if self.redis else []

    @property
    def missing(self) -> list[str]:
        """Roles that ought to be there and of which no process is seen; none where Redis cannot be asked."""
        if self.redis is None:
            return []
        here = {process.seen.role for process in self.processes}
        return [role for role in EXPECTED if role not in here]

    @property
    def level(self) -> Level:
        """The worst of signs and dependencies; critical where a role is missing."""
        roles = [Level.CRITICAL for _ in self.missing]
        return worst(
            [*(sign.level for sign in self.signs), *(each.level for each in self.dependencies), *roles]
        )


@dataclass(frozen=True, slots=True)
class Overviewer:
    """Looks. `client`: its time limits are those of the look, as are the engine's."""

    engine: Engine
    client: redis.Redis
    namespace: str
    minutes: Minutes
    queues: Sequence[str]
    mode: Mode
    clock: Clock
    depths: Depths | None = None

    def look(self, hours: int = HOURS, window_minutes: int = WINDOW_MINUTES) -> Overview:
        """Everything, with the minutes of the last `hours` (1 to 48). Never raises for what is away.

        `window_minutes`: of which the signs are.
        """
        in_redis, redis_is = self._redis(hours, window_minutes)
        in_redis, queue_is = self._queue(in_redis)
        in_database, database_is = self._database()
        window = in_redis.window if in_redis else {}
        answers = {role: _answers(window, role) for role in ("receiver", "api")}
        processes = [each for each in in_redis.processes if each.here] if in_redis else []
        signs = judge(
            answers,
            connections_of(in_database.connections if in_database else None, processes),
            _memory(processes),
        )
        dependencies = [database_is, redis_is, *queue_is, _stripe(window)]
        return Overview(self.clock(), self.mode, signs, answers, dependencies, in_redis, in_database)

    def recall(self, hours: int) -> None:
        """Read the minutes of the last `hours` that can change no more, for looks to come. Raises
        redis.RedisError."""
        now_ms, charted = self.clock(), hours * 60
        with self.client.pipeline(transaction=False) as pipe:
            asked = self.minutes.ask(pipe, now_ms, charted, 0)
            self.minutes.read(asked, pipe.execute(), now_ms, charted)

    def _redis(self, hours: int, window_minutes: int) -> tuple[RedisView | None, Dependency]:
        try:
            view = redis_view(
                *(self.client, self.namespace, self.queues, hours, window_minutes, self.clock),
                self.minutes,
            )
        except (redis.RedisError, OSError) as error:
            return None, Dependency("redis", False, None, said_of(error))
        return view, Dependency("redis", True, view.latency_ms, "answers")

    def _queue(self, in_redis: RedisView | None) -> tuple[RedisView | None, list[Dependency]]:
        """The view with the queues of elsewhere, which are then a dependency of their own."""
        began_s = time.monotonic()
        try:
            depths = self.depths() if self.depths else None
        except Exception as error:  # noqa: BLE001 - the queue's own errors: this package does not know it
            view = replace(in_redis, queues=[]) if in_redis else None
            return view, [Dependency("queue", False, None, said_of(error))]
        if depths is None:
            return in_redis, []
        answers = Dependency("queue", True, (time.monotonic() - began_s) * 1000, "answers")
        return replace(in_redis, queues=depths) if in_redis else None, [answers]

    def _database(self) -> tuple[DatabaseView | None, Dependency]:
        try:
            view = database_view(self.engine)
        except (SQLAlchemyError, OSError) as error:
            return None, Dependency("database", False, None, said_of(error))
        return view, Dependency("database", True, view.latency_ms, "answers")


def _answers(window: Mapping[Key, int], role: str) -> Answers:
    classes = {key[2]: count for key, count in window.items() if key[:2] == (ANSWERS, role)}
    took = {
        float("inf") if key[2] == ABOVE else float(key[2]): count
        for key, count in window.items()
        if key[:2] == (TOOK, role)
    }
    return Answers(sum(classes.values()), classes.get("5xx", 0), window.get((LIMITED, role), 0), took)


def connections_of(server: ServerConnections | None, processes: Sequence[Process]) -> list[Used]:
    """Connections to the database and how many there may be: of the server, the user, or our pools."""
    states = [each.state for each in processes if each.state]
    if server is None:
        used = sum(state.connections_used or 0 for state in states)
        most = sum(state.connections_most or 0 for state in states)
        return [Used("pools", used, most, f"{used:,} of {most:,} in our pools in use")]
    ours = sum(state.connections_open or 0 for state in states)
    text = f"{server.connected:,} of {server.most:,} of the server"
    found = [Used("server", server.connected, server.most, text)]
    if server.user_most:
        text = f"{ours:,} ours of {server.user_most:,} of this user"
        found.append(Used("user", ours, server.user_most, text))
    return found


def _memory(processes: Sequence[Process]) -> list[Used]:
    # Processes of one machine tell the same: each place once, as the fullest told it.
    found: dict[tuple[str, str, int], Used] = {}
    for each in processes:
        state, host = each.state, each.seen.name.rpartition(":")[0]
        if state is None or state.used_bytes is None or not state.limit_bytes:
            continue
        text = f"{_gib(state.used_bytes)} of {_gib(state.limit_bytes)} of the {state.place}"
        key = (host, state.place, state.limit_bytes)
        if key not in found or found[key].used < state.used_bytes:
            found[key] = Used(host, state.used_bytes, state.limit_bytes, text)
    return list(found.values())


def _stripe(window: Mapping[Key, int]) -> Dependency:
    found = stripe_state(window)
    return Dependency("stripe", found.answers, found.latency_ms, found.text)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f} GiB"
