"""What health asks of everything that the service needs. What it says of each is fit for anybody to read."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from payouts.clock import Clock, iso, now_ms, timed
from payouts.doctor.ages import OVERDUE_BAD_MS, OVERDUE_WARN_MS, RECEIVED_BAD_MS, RECEIVED_WARN_MS
from payouts.logs import get_logger, redact
from payouts.settings import Settings
from payouts.states import EventStatus
from payouts.storage.age_queries import Waiting, waiting_events, waiting_requests
from payouts.storage.channel_state import channel_state
from payouts.storage.database_fault import fault_of
from payouts.storage.engine import ping
from payouts.storage.minutes import Minutes
from payouts.storage.queries import reading
from payouts.stripe_state import stripe_state

DATABASE, REDIS, AUTH, EMAIL, STRIPE, QUEUE = "database", "redis", "auth", "email", "stripe", "queue"
EMAIL_CHANNEL = "email"
FAILING_ATTEMPTS = 2
"""One attempt that fails is a hiccup; a second one, with nothing that went out lately, is not."""
LATELY_MS = 10 * 60_000
STRIPE_MINUTES = 5

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Found:
    """How one thing stands. `warn`: it works, or cannot be told, and is not as it should be."""

    status: Status
    note: str = ""
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Asks for one thing, every `every_s` at the most, and is waited for `within_s`."""

    name: str
    ask: Callable[[], Found | Awaitable[Found]]
    every_s: float = 5.0
    within_s: float = 2.0


class HealthAsks:
    """The questions, on connections of their own. Each blocks for a few seconds at the most."""

    def __init__(
        self, engine: Engine, client: redis.Redis, settings: Settings, clock: Clock = now_ms
    ) -> None:
        """`engine` and `client`: with short time limits."""
        self._engine, self._client, self._settings, self._clock = engine, client, settings, clock

    def checks(self, auth: Callable[[], Found | Awaitable[Found]]) -> list[HealthCheck]:
        """All of them, in the order in which they are told. `auth`: how signing in is asked for."""
        return [
            HealthCheck(DATABASE, self.database),
            HealthCheck(REDIS, self.redis),
            HealthCheck(AUTH, auth, every_s=30.0),
            HealthCheck(EMAIL, self.email, every_s=15.0),
            HealthCheck(STRIPE, self.stripe, every_s=15.0),
            HealthCheck(QUEUE, self.queue, every_s=15.0),
        ]

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def database(self) -> Found:
        """Whether it answers; by which fault it does not."""
        try:
            took_ms = ping(self._engine)
        except (SQLAlchemyError, OSError) as error:
            fault = fault_of(error)
            return Found("fail", fault.what if fault else "the database does not answer as it should")
        return Found("pass", latency_ms=took_ms)

    def redis(self) -> Found:
        """Whether it answers."""
        try:
            self._client.ping()  # connects, so that the time below is of one trip
            return Found("pass", latency_ms=timed(self._client.ping))
        except (redis.RedisError, OSError):
            return Found("fail", "Redis does not answer")

    def email(self) -> Found:
        """Whether what is to go out by e-mail goes out, by what became of it lately. Nothing is sent."""
        try:
            with reading(self._engine) as connection:
                state = channel_state(connection, EMAIL_CHANNEL)
        except (SQLAlchemyError, OSError):
            return _UNKNOWN_DATABASE
        if not state.used:
            return Found("pass", "no e-mail was to be sent yet")
        went_out = state.delivered_at_ms is not None and state.delivered_at_ms > self._clock() - LATELY_MS
        if state.attempts >= FAILING_ATTEMPTS and not went_out:
            return Found("fail", f"no e-mail goes out; one was tried {state.attempts} times")
        return Found("pass")

    def stripe(self) -> Found:
        """Whether it answers, by the calls of all processes in the last minutes. None is made for this."""
        minutes = Minutes(self._settings.queue_namespace)
        try:
            state = stripe_state(minutes.lately(self._client, self._clock(), STRIPE_MINUTES))
        except (redis.RedisError, OSError):
            return Found("warn", "not known while Redis does not answer")
        if state.answers is None:
            return Found("pass", state.text)
        return Found("pass" if state.answers else "fail", latency_ms=state.latency_ms)

    def queue(self) -> Found:
        """Whether what waits is worked on, by the oldest of it; by the bounds of the doctor."""
        now = self._clock()
        try:
            with reading(self._engine) as connection:
                events, requests = waiting_events(connection), waiting_requests(connection)
        except (SQLAlchemyError, OSError):
            return _UNKNOWN_DATABASE
        over = [(now - each.due_at_ms, *_bounds_ms(each)) for each in [*events, *requests]]
        oldest_ms = max((over_ms for over_ms, _, _ in over), default=0)
        note = f"the oldest is {oldest_ms / 1000:.0f} s late" if oldest_ms >= 1000 else ""
        if any(over_ms > bad_ms for over_ms, _, bad_ms in over):
            return Found("fail", note)
        return Found("warn" if any(over_ms > warn_ms for over_ms, warn_ms, _ in over) else "pass", note)


def _bounds_ms(waiting: Waiting) -> tuple[int, int]:
    if waiting.status == EventStatus.RECEIVED:
        return RECEIVED_WARN_MS, RECEIVED_BAD_MS
    return OVERDUE_WARN_MS, OVERDUE_BAD_MS


_UNKNOWN_DATABASE = Found("warn", "not known while the database does not answer")


class Stands(Protocol):
    """How a thing stands."""

    @property
    def status(self) -> str: ...
    @property
    def note(self) -> str: ...


def tell(name: str, result: Stands, error: BaseException | None) -> None:
    """Log that one thing stands otherwise than before."""
    log = get_logger()
    if result.status == "pass":
        log.info("health.back", check=name)
        return
    # The log may say what an answer to everybody may not.
    why = {"error": redact(str(error))[:300], "error_class": type(error).__name__} if error else {}
    log.warning("health.not_well", check=name, status=result.status, note=result.note, **why)


def now_iso() -> str:
    """The time, as health tells it."""
    return iso(now_ms()) or ""
