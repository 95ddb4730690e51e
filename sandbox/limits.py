"""Limits on calls: how many a second, and one at a time for an account."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.errors import locked, rate_limited
from sandbox.world import World


class Limits:
    """A bucket that holds a second's worth of calls, and the accounts that are being worked on."""

    def __init__(self, world: World, real_now: Callable[[], float]) -> None:
        self._world = world
        self._real_now = real_now
        self._left: float | None = None
        self._at_s = real_now()
        self._working: set[str] = set()

    def admit(self) -> None:
        """429 `rate_limit` where the bucket is empty."""
        rate = self._world.settings.requests_per_s
        if rate is None:
            return
        now_s = self._real_now()
        burst = max(rate, 1.0)
        left = burst if self._left is None else min(burst, self._left + (now_s - self._at_s) * rate)
        self._at_s, self._left = now_s, left
        if left < 1.0:
            raise rate_limited()
        self._left = left - 1.0

    @contextmanager
    def alone(self, account: str) -> Iterator[None]:
        """429 `lock_timeout` where another call is working on the account."""
        if not self._world.settings.one_call_per_account:
            yield
            return
        if account in self._working:
            raise locked(account)
        self._working.add(account)
        try:
            yield
        finally:
            self._working.discard(account)
