"""Counts requests against limits: in Redis, for all processes together, under keys `ratelimit:*`.

By the library `limits` and its sliding window: two counters for each caller and limit, whatever the traffic.
While Redis does not answer each process counts for itself, so that a limit holds roughly, and nobody waits:
Redis is asked again every few seconds only.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import redis

from payouts.logs import get_logger
from payouts.rates import WINDOW_S, Rate, RouteGroup

if TYPE_CHECKING:
    from limits.strategies import SlidingWindowCounterRateLimiter

PREFIX = "ratelimit"
SIGN_IN = "sign-in"
"""What failed sign-ins are counted under, by address and all together; the console counts them."""
ASK_AGAIN_S = 5.0
"""How long a Redis that failed is left alone."""


def key_prefix(namespace: str) -> str:
    """What the keys of one service begin with, without the colon behind it."""
    return f"{PREFIX}:{namespace}"


class RateLimiter:
    """Counts. Safe to share between threads. The time limits are those of `client`."""

    def __init__(
        self, client: redis.Redis, namespace: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._prefix, self._monotonic = client, key_prefix(namespace), monotonic
        self._ask_again_at_s = -math.inf
        self._guard = threading.Lock()
        self._shared: SlidingWindowCounterRateLimiter | None = None
        self._own: SlidingWindowCounterRateLimiter | None = None

    def hit(self, group: RouteGroup, key: str, limit: int, cost: int = 1) -> Rate:
        """Count `cost` requests of `key`, and where it stands now. Never raises for Redis.

        What does not fit is not counted: whoever asks again and again is let in as soon as there is room.
        """
        if self._monotonic() >= self._ask_again_at_s:
            try:
                return _hit(self._in_redis(), group, key, limit, cost)
            except (redis.RedisError, OSError) as error:
                self._ask_again_at_s = self._monotonic() + ASK_AGAIN_S
                get_logger().warning("limits.counted_here", error=str(error)[:300], again_in_s=ASK_AGAIN_S)
        return _hit(self._in_memory(), group, key, limit, cost)

    def _in_redis(self) -> "SlidingWindowCounterRateLimiter":
        if self._shared is None:
            from limits.storage import RedisStorage
            from limits.strategies import SlidingWindowCounterRateLimiter

            pool: Any = self._client.connection_pool
            storage = RedisStorage("redis://", connection_pool=pool, key_prefix=self._prefix)
            self._shared = SlidingWindowCounterRateLimiter(storage)
        return self._shared

    def _in_memory(self) -> "SlidingWindowCounterRateLimiter":
        with self._guard:  # two of them would count apart
            if self._own is None:
                from limits.storage import MemoryStorage
                from limits.strategies import SlidingWindowCounterRateLimiter

                self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
            return self._own


def _hit(
    limiter: "SlidingWindowCounterRateLimiter", group: RouteGroup, key: str, limit: int, cost: int
) -> Rate:
    from limits import RateLimitItemPerSecond

    item = RateLimitItemPerSecond(limit, WINDOW_S, namespace=str(group))
    allowed = limiter.hit(item, key, cost=min(cost, limit))
    stats = limiter.get_window_stats(item, key)
    reset_s = max(1, math.ceil(stats.reset_time - time.time()))
    return Rate(group, limit, stats.remaining if allowed else 0, reset_s, allowed)
