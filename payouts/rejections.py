"""Who sends rubbish again and again: counted in this process at once, with the others a second later.

Counting is a few hundred nanoseconds and asks nobody, for it happens where a flood comes in. A thread of its
own brings what was counted to Redis now and then, and learns there who is over the limit in all processes
together.
"""

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter

from payouts.rate_limiter import RateLimiter
from payouts.rates import WINDOW_S, Rate, RouteGroup, refused

SHARE_EVERY_S = 1.0
SHARED_AT_ONCE = 1_000
"""Addresses that a process brings to Redis each time, those with the most rejections: a flood from ever new
addresses takes little place there."""
BARRED_AT_LEAST_S = 5.0
ADDRESSES_MOST = 20_000
"""Counted at once; where a flood comes from more, those that are known are forgotten."""


@dataclass(slots=True)
class _Seen:
    since_s: float
    count: int = 0


@dataclass(slots=True)
class Rejections:
    """The rejections of one route group, by address. For one event loop; `share` alone is for a thread."""

    limiter: RateLimiter
    group: RouteGroup
    limit: Callable[[], int]
    """How many a minute allows, as things stand; 0: any number."""
    monotonic: Callable[[], float] = time.monotonic
    barred: dict[str, float] = field(default_factory=dict)
    """Who is over the limit, and until when."""
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _pending: dict[str, int] = field(default_factory=dict)

    def count(self, key: str) -> None:
        """Count a rejection."""
        limit = self.limit()
        if not limit or key in self.barred:
            return
        now_s = self.monotonic()
        seen = self._seen.get(key)
        if seen is None or now_s - seen.since_s >= WINDOW_S:
            if len(self._seen) >= ADDRESSES_MOST:
                self._seen.clear()
            seen = self._seen[key] = _Seen(now_s)
        seen.count += 1
        if len(self._pending) < ADDRESSES_MOST:
            self._pending[key] = self._pending.get(key, 0) + 1
        if seen.count >= limit:
            self._bar(key, seen.since_s + WINDOW_S)

    def over(self, key: str) -> Rate | None:
        """Where `key` stands if it is over the limit."""
        until_s = self.barred.get(key)
        if until_s is None:
            return None
        left_s = until_s - self.monotonic()
        limit = self.limit()
        if left_s <= 0 or not limit:
            self.barred.pop(key, None)
            self._seen.pop(key, None)
            return None
        return refused(self.group, limit, left_s)

    def share(self) -> None:
        """Bring what was counted to Redis, and learn who is over the limit in all processes together."""
        pending, self._pending = self._pending, {}
        limit = self.limit()
        busiest = heapq.nlargest(SHARED_AT_ONCE, list(pending.items()), key=itemgetter(1))
        for key, count in busiest if limit else ():
            rate = self.limiter.hit(self.group, key, limit, count)
            if not rate.allowed:
                self._bar(key, self.monotonic() + max(rate.reset_s, BARRED_AT_LEAST_S))
        now_s = self.monotonic()
        for key, until_s in list(self.barred.items()):
            if until_s <= now_s:
                self.barred.pop(key, None)

    def _bar(self, key: str, until_s: float) -> None:
        if len(self.barred) >= ADDRESSES_MOST:
            self.barred.clear()
        self.barred[key] = max(until_s, self.barred.get(key, 0.0))
