"""What Redis knows of the service just now: minutes, processes, queues. Two trips, whatever it holds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from payouts.clock import Clock
from payouts.meters import Key
from payouts.storage.minutes import HOURS_MOST, Minute, Minutes, summed
from payouts.storage.presence import SEEN_WITHIN_MS, Presence, ProcessState, Seen


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The messages of a queue. A message is a hint: what it asks for is in the database."""

    name: str
    waiting: int
    """No worker has fetched them yet."""
    held: int | None
    """A worker has, and works on them or will soon. None: the queue does not tell."""
    delayed: int | None
    """They are to be worked on later. None: as above."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the last day."""

    seen: Seen
    here: bool
    """It said so lately."""
    state: ProcessState | None


@dataclass(frozen=True, slots=True)
class RedisView:
    """What Redis knows."""

    minutes: Sequence[Minute]
    """The oldest first, the one that runs last."""
    window: Mapping[Key, int]
    """All that was counted in the last few of them."""
    processes: Sequence[Process]
    """The one heard of last first."""
    queues: Sequence[QueueDepth]
    latency_ms: float
    """Of the second trip."""


def redis_view(
    client: redis.Redis,
    namespace: str,
    queues: Sequence[str],
    hours: int,
    window_minutes: int,
    clock: Clock,
    minutes: Minutes | None = None,
) -> RedisView:
    """Look, `hours` back (1 to 48). Raises redis.RedisError.

    `minutes`: kept by whoever looks again and again, so that each is asked for once.
    """
    now_ms, presence = clock(), Presence(client, namespace, clock)
    minutes = minutes or Minutes(namespace)
    charted = min(max(hours, 1), HOURS_MOST) * 60
    with client.pipeline(transaction=False) as pipe:
        presence.ask_seen(pipe)
        _ask_queues(pipe, namespace, queues)
        asked = minutes.ask(pipe, now_ms, charted, window_minutes + 1)
        answers: list[Any] = pipe.execute()
    seen = presence.read_seen(answers[0])
    began_s = time.monotonic()
    with client.pipeline(transaction=False) as pipe:
        pipe.ping()
        presence.ask_states(pipe, seen)
        states = presence.read_states(pipe.execute()[1:])
    latency_ms = (time.monotonic() - began_s) * 1000
    counted = minutes.read(asked, answers[-len(asked) :], now_ms, charted)
    return RedisView(
        counted,
        summed(counted[-window_minutes - 1 :]),
        [
            Process(each, now_ms - each.at_ms <= SEEN_WITHIN_MS, state)
            for each, state in zip(seen, states, strict=True)
        ],
        _read_queues(queues, answers[1 : -len(asked)]),
        latency_ms,
    )


def _ask_queues(pipe: "redis.client.Pipeline", namespace: str, queues: Sequence[str]) -> None:
    # As Dramatiq keeps them: ids of what no worker has fetched in a list, bodies in a hash until all is done.
    for name in queues:
        pipe.llen(f"{namespace}:{name}")
        pipe.hlen(f"{namespace}:{name}.msgs")
        pipe.hlen(f"{namespace}:{name}.DQ.msgs")


def _read_queues(queues: Sequence[str], answers: Sequence[int]) -> list[QueueDepth]:
    found = []
    for at, name in enumerate(queues):
        waiting, undone, delayed = answers[3 * at : 3 * at + 3]
        found.append(QueueDepth(name, waiting, max(0, undone - waiting), delayed))
    return found
