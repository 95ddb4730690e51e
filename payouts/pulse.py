"""The pulse of a process: every few seconds, off the hot path, one trip to Redis.

It says that the process is there, how it is, and what it counted since. Where Redis does not answer nothing
waits for it, and what was counted meanwhile is not shown.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from payouts.clock import Clock
from payouts.every import every
from payouts.logs import get_logger
from payouts.memory import read_memory
from payouts.meters import Meters
from payouts.storage.minutes import Minutes
from payouts.storage.presence import EVERY_S, Pipeline, Presence, ProcessState, Role
from payouts.version import VERSION

TIMEOUT_S = 0.5
"""Of the connection to Redis, and of its answer."""


@dataclass(slots=True)
class Pulse:
    """Beats for one process.

    Every beat is to come from the loop that does its work, so that one that hangs is not seen. Never from two
    threads at once.
    """

    client: redis.Redis
    presence: Presence
    minutes: Minutes
    meters: Meters
    clock: Clock
    role: Role
    name: str
    engines: list[Engine] = field(default_factory=list)
    """All that the process opens connections to the database by: they are told of together."""
    alive_file: Path | None = None
    """Touched at each beat, for the health check of a container: it asks no Redis."""
    started_at_ms: int = field(init=False)

    def __post_init__(self) -> None:
        self.started_at_ms = self.clock()

    def beat(self) -> None:
        """Say how this process is. Never raises for Redis, nor for a full disk."""
        self._touch()
        state, counts = self.state(), self.meters.take()

        def write(pipe: Pipeline) -> None:
            self.presence.note(pipe, self.role, self.name, state)
            self.minutes.add(pipe, self.clock(), counts)

        self._send(write)

    def end(self) -> None:
        """Say what was counted last, and that it ends."""
        counts = self.meters.take()

        def write(pipe: Pipeline) -> None:
            self.minutes.add(pipe, self.clock(), counts)
            self.presence.leave(pipe, self.role, self.name)

        self._send(write)

    def state(self) -> ProcessState:
        """How this process is now."""
        memory = read_memory()
        pools = [each.pool for each in self.engines if isinstance(each.pool, QueuePool)]
        used, kept = (sum(pool.checkedout() for pool in pools), sum(pool.checkedin() for pool in pools))
        return ProcessState(
            version=VERSION,
            started_at_ms=self.started_at_ms,
            resident_bytes=memory.resident_bytes,
            used_bytes=memory.used_bytes,
            limit_bytes=memory.limit_bytes,
            place=memory.place,
            connections_used=used if pools else None,  # SQLite in memory has no pool
            connections_open=used + kept if pools else None,
            connections_most=sum(pool.size() for pool in pools) if pools else None,
        )

    def _touch(self) -> None:
        if self.alive_file is None:
            return
        try:
            self.alive_file.touch()
        except OSError as error:
            get_logger().warning("alive_file.not_written", file=str(self.alive_file), error=str(error))

    def _send(self, write: Callable[[Pipeline], None]) -> None:
        try:
            with self.client.pipeline(transaction=False) as pipe:
                write(pipe)
                pipe.execute()
        except (redis.RedisError, OSError) as error:
            # It is no error of the process's: its own work says more of a Redis that does not answer.
            get_logger().debug("pulse.not_told", error=str(error)[:300])


@asynccontextmanager
async def beating(pulse: Pulse) -> AsyncIterator[None]:
    """While a server's event loop runs: beats from it, each on a thread, for a beat may wait for Redis."""
    try:
        async with every(EVERY_S, pulse.beat):
            yield
    finally:
        await asyncio.to_thread(pulse.end)
