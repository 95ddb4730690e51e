"""What all processes together counted in each minute: a hash in Redis for each, forgotten after two days.

A hint like all in Redis: counts that it did not take are not sent again, so that none is ever counted twice.
A Redis that was away or wiped is a gap in the charts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from payouts.meters import DELIVERIES, EVENTS, Key

KEPT_S = 50 * 3_600
"""Two days and a bit, so that the same hour of yesterday is there to compare with."""
HOURS_MOST = 48
MINUTE_MS = 60_000

Pipeline = redis.client.Pipeline

CHARTED: Sequence[Key] = (
    *((DELIVERIES, outcome) for outcome in ("stored", "other_mode", "rejected", "unavailable")),
    *((EVENTS, outcome) for outcome in ("applied", "ignored", "deferred", "retrying", "dead")),
)
"""What is read of every minute, for a day of them is read at a time; of the last few minutes all is."""


@dataclass(frozen=True, slots=True)
class Minute:
    """What was counted in the minute that began at `at_ms`, by all processes."""

    at_ms: int
    counts: Mapping[Key, int]

    @property
    def received(self) -> int:
        """Deliveries that were acknowledged: stored, or of the other mode."""
        return self._sum((DELIVERIES, "stored"), (DELIVERIES, "other_mode"))

    @property
    def refused(self) -> int:
        """Deliveries that were refused, as a rule for their signature."""
        return self._sum((DELIVERIES, "rejected"))

    @property
    def unavailable(self) -> int:
        """Deliveries that no store took: Stripe sends them again."""
        return self._sum((DELIVERIES, "unavailable"))

    @property
    def applied(self) -> int:
        return self._sum((EVENTS, "applied"))

    @property
    def ignored(self) -> int:
        return self._sum((EVENTS, "ignored"))

    @property
    def deferred(self) -> int:
        return self._sum((EVENTS, "deferred"))

    @property
    def failed(self) -> int:
        """Attempts that failed, those included that the event died of."""
        return self._sum((EVENTS, "retrying"), (EVENTS, "dead"))

    @property
    def dead(self) -> int:
        return self._sum((EVENTS, "dead"))

    def _sum(self, *keys: Key) -> int:
        return sum(self.counts.get(key, 0) for key in keys)


class Minutes:
    """The minutes of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{namespace}:minute:"

    def add(self, pipe: Pipeline, now_ms: int, counts: Mapping[Key, int]) -> None:
        """Add `counts` to this minute, with what else `pipe` carries."""
        if not counts:
            return
        key = self._key(now_ms // MINUTE_MS)
        for name, count in counts.items():
            pipe.hincrby(key, ":".join(name), count)
        pipe.expire(key, KEPT_S)

    def ask(self, pipe: Pipeline, now_ms: int, charted: int, whole: int) -> None:
        """Have `pipe` ask for the last `charted` minutes, of the last `whole` of them all that was counted.

        Both count the minute that runs. There will be `charted` answers, for `read`.
        """
        newest, fields = now_ms // MINUTE_MS, [":".join(key) for key in CHARTED]
        for minute in range(newest - charted + 1, newest + 1):
            if minute > newest - whole:
                pipe.hgetall(self._key(minute))
            else:
                pipe.hmget(self._key(minute), fields)

    def read(self, answers: Sequence[Any], now_ms: int) -> list[Minute]:
        """The minutes in the answers to `ask`, the oldest first; those without a count are empty."""
        oldest = now_ms // MINUTE_MS - len(answers) + 1
        return [Minute((oldest + at) * MINUTE_MS, _counts(answer)) for at, answer in enumerate(answers)]

    def lately(self, client: redis.Redis, now_ms: int, minutes: int) -> dict[Key, int]:
        """All that was counted in the last `minutes`, with the one that runs. Raises redis.RedisError."""
        with client.pipeline(transaction=False) as pipe:
            self.ask(pipe, now_ms, minutes, minutes)
            return summed(self.read(pipe.execute(), now_ms))

    def _key(self, minute: int) -> str:
        return f"{self._prefix}{minute}"


def summed(minutes: Sequence[Minute]) -> dict[Key, int]:
    """All that was counted in these."""
    total: dict[Key, int] = {}
    for minute in minutes:
        for key, count in minute.counts.items():
            total[key] = total.get(key, 0) + count
    return total


def _counts(answer: Any) -> dict[Key, int]:
    if isinstance(answer, dict):
        return {tuple(name.decode().split(":")): int(count) for name, count in answer.items()}
    return {key: int(count) for key, count in zip(CHARTED, answer, strict=True) if count is not None}
