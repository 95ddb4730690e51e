"""Which processes are there: each says so in Redis now and then, so that the doctor can tell that none is.

A sorted set with a member for each process, by the time at which it last said so. Nothing depends on it: a
Redis that was wiped knows all of them again within seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis

from payouts.clock import Clock
from payouts.logs import get_logger

EVERY_S = 10.0
KEPT_MS = 86_400_000
"""Processes that ended are remembered for so long."""

Role = Literal["worker", "scheduler"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A process, as `host:pid`, and when it last said that it is there, by its own clock."""

    role: str
    name: str
    at_ms: int


class Presence:
    """The processes of one namespace."""

    def __init__(self, client: redis.Redis, namespace: str, clock: Clock) -> None:
        self._client = client
        self._key = f"{namespace}:presence"
        self._clock = clock

    def note(self, role: Role, name: str) -> None:
        """Say that this process is there."""
        now_ms = self._clock()

        def write(pipe: "redis.client.Pipeline") -> None:
            pipe.zadd(self._key, {f"{role} {name}": now_ms})
            pipe.zremrangebyscore(self._key, 0, now_ms - KEPT_MS)

        self._try(write)

    def leave(self, role: Role, name: str) -> None:
        """Say that it ends."""
        self._try(lambda pipe: pipe.zrem(self._key, f"{role} {name}"))

    def seen(self) -> Sequence[Seen]:
        """All of the last day, the latest first. Raises redis.RedisError."""
        found: Any = self._client.zrevrange(self._key, 0, -1, withscores=True)
        return [_seen(member.decode(), int(at_ms)) for member, at_ms in found]

    def _try(self, write: Callable[["redis.client.Pipeline"], object]) -> None:
        try:
            with self._client.pipeline(transaction=False) as pipe:
                write(pipe)
                pipe.execute()
        except redis.RedisError as error:
            # Whoever says so has other work: a Redis that does not answer is told the next time.
            get_logger().debug("presence.not_noted", error=str(error)[:300])


def _seen(member: str, at_ms: int) -> Seen:
    role, _, name = member.partition(" ")
    return Seen(role, name, at_ms)
