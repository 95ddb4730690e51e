"""What the identity provider was asked for and is kept: by one at a time, and not soon after a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from payouts.clock import Clock
from payouts.errors import SignInError

T = TypeVar("T")


class Kept(Generic[T]):
    """What `fetch` gives, kept for `age_ms`. For `pause_ms` after a failure that failure is all there is.

    So a provider that hangs holds up whoever asks first, for the time limit of a call, and those who wait
    with them; everybody after is told at once.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock, age_ms: int, pause_ms: int) -> None:
        self._fetch = fetch
        self._clock = clock
        self._age_ms = age_ms
        self._pause_ms = pause_ms
        self._value: T | None = None
        self._at_ms = 0
        self._failure: SignInError | None = None
        self._failed_at_ms = 0
        self._lock = asyncio.Lock()

    async def get(self, *, old_is_fine: bool = False) -> T:
        """The kept value, fetched where it is too old. SignInError as `fetch` raises it.

        `old_is_fine`: while somebody else fetches it, the one from before is given.
        """
        if old_is_fine and self._value is not None and self._lock.locked():
            return self._value
        async with self._lock:
            if self._value is not None and self._is_within(self._age_ms, self._at_ms):
                return self._value
            return await self._fetched()

    async def newer_than(self, seen: T, pause_ms: int) -> T:
        """Another value than `seen`, which turned out to be out of date.

        `seen` itself where it was fetched less than `pause_ms` ago: whoever sends wrong things does not
        make this service ask the provider all the time.
        """
        async with self._lock:
            if self._value is not None and self._value is not seen:
                return self._value
            if self._value is not None and self._is_within(pause_ms, self._at_ms):
                return self._value
            return await self._fetched()

    async def _fetched(self) -> T:
        if self._failure is not None and self._is_within(self._pause_ms, self._failed_at_ms):
            raise self._failure.with_traceback(None)
        try:
            value = await self._fetch()
        except SignInError as failure:
            self._failure, self._failed_at_ms = failure, self._clock()
            raise
        self._value, self._at_ms, self._failure = value, self._clock(), None
        return value

    def _is_within(self, span_ms: int, at_ms: int) -> bool:
        # Not more than 0 either: a clock that was set back keeps nothing for longer.
        return 0 <= self._clock() - at_ms < span_ms
