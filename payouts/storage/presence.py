"""Which processes are there, and how each is: each says so in Redis every few seconds.

A sorted set with a member for each process, by the time at which it last said so, and for each a value of its
own that ends soon after it falls silent. Nothing depends on them: a Redis that was wiped knows all of them
again within seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import redis

from payouts.clock import Clock

EVERY_S = 3.0
SEEN_WITHIN_MS = 30_000
"""Ten beats: what was silent for longer is gone."""
KEPT_MS = 86_400_000
"""Processes that ended are remembered for so long."""
STATE_KEPT_S = 60
SHOWN_MOST = 100
"""Of the latest, how many are told of with their state."""

Role = Literal["receiver", "api", "worker", "scheduler", "console"]
Pipeline = redis.client.Pipeline


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """What a process says of itself. None: its system does not tell, or it has no database."""

    version: str
    started_at_ms: int
    resident_bytes: int | None = None
    """The memory that it holds."""
    used_bytes: int | None = None
    """The memory in use in the place that it runs in, and what that has: a `cgroup`, or the `machine`."""
    limit_bytes: int | None = None
    place: str = "machine"
    connections_used: int | None = None
    """Database connections that its threads work with just now; that are open; that it may open."""
    connections_open: int | None = None
    connections_most: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A process, as `host:pid`, and when it last said that it is there, by its own clock."""

    role: str
    name: str
    at_ms: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ProcessState).decode


class Presence:
    """The processes of one namespace."""

    def __init__(self, client: redis.Redis, namespace: str, clock: Clock) -> None:
        self._client = client
        self._namespace = namespace
        self._key = f"{namespace}:presence"
        self._clock = clock

    def note(self, pipe: Pipeline, role: Role, name: str, state: ProcessState) -> None:
        """Say, with what else `pipe` carries, that this process is there, and how it is."""
        now_ms = self._clock()
        pipe.zadd(self._key, {f"{role} {name}": now_ms})
        pipe.zremrangebyscore(self._key, 0, now_ms - KEPT_MS)
        pipe.set(self._state_key(role, name), _encode(state), ex=STATE_KEPT_S)

    def leave(self, pipe: Pipeline, role: Role, name: str) -> None:
        """Say that it ends."""
        pipe.zrem(self._key, f"{role} {name}")
        pipe.delete(self._state_key(role, name))

    def seen(self) -> Sequence[Seen]:
        """All of the last day, the latest first. Raises redis.RedisError."""
        return self.read_seen(self._client.zrevrange(self._key, 0, -1, withscores=True))

    def ask_seen(self, pipe: Pipeline) -> None:
        """Have `pipe` ask for the latest; `read_seen` reads the answer."""
        pipe.zrevrange(self._key, 0, SHOWN_MOST - 1, withscores=True)

    @staticmethod
    def read_seen(answer: Any) -> list[Seen]:
        """The processes in an answer, the latest first."""
        return [_seen(member.decode(), int(at_ms)) for member, at_ms in answer]

    def ask_states(self, pipe: Pipeline, seen: Sequence[Seen]) -> None:
        """Have `pipe` ask how each is, with an answer for each; `read_states` reads them."""
        for each in seen:
            pipe.get(self._state_key(each.role, each.name))

    @staticmethod
    def read_states(answers: Sequence[Any]) -> list[ProcessState | None]:
        """How each is; None where it said nothing lately that this version reads."""
        return [None if said is None else _state(said) for said in answers]

    def _state_key(self, role: str, name: str) -> str:
        return f"{self._namespace}:process:{role} {name}"


def _seen(member: str, at_ms: int) -> Seen:
    role, _, name = member.partition(" ")
    return Seen(role, name, at_ms)


def _state(said: bytes) -> ProcessState | None:
    try:
        return _decode(said)
    except msgspec.DecodeError:  # of a version to come, or somebody else's
        return None
