"""Threads for work with the database: so many, with so much waiting, each answer within its time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from payouts.errors import StoreUnavailableError

T = TypeVar("T")

MOST_OPEN = 256
"""Pieces of work that are done or wait to be. What comes on top is refused at once, not made to wait."""
ANSWER_WITHIN_S = 20.0


class OverloadedError(StoreUnavailableError):
    """More is asked for at once than can be done in time."""


class TooSlowError(StoreUnavailableError):
    """There is no answer in time; what was begun may still come to its end."""


class Pool:
    """A bounded pool of threads, used from one event loop."""

    def __init__(self, threads: int, within_s: float = ANSWER_WITHIN_S, most_open: int = MOST_OPEN) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._within_s, self._most_open = within_s, most_open
        self._open = 0

    async def run(self, work: Callable[[], T], done: Callable[[], None] = lambda: None) -> T:
        """What `work` returns or raises, from one of the threads. `done` is called once no thread is at it.

        Raises OverloadedError or TooSlowError; work that no thread has begun by then is never done.
        """
        if self._open >= self._most_open:
            done()
            raise OverloadedError("too many requests at once: send it again in a few seconds")
        loop = asyncio.get_running_loop()

        def end() -> None:
            self._open -= 1
            done()

        self._open += 1
        future = self._executor.submit(work)
        future.add_done_callback(lambda _: _call_in(loop, end))
        try:
            async with asyncio.timeout(self._within_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise TooSlowError(
                f"no answer within {self._within_s:.0f} s; it may still be done: send it again, "
                "with the same Idempotency-Key where one is needed, or look what became of it"
            ) from None

    def close(self) -> None:
        """Let what was begun come to its end; what waits is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _call_in(loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
    if not loop.is_closed():  # closed: nobody counts any more
        loop.call_soon_threadsafe(end)
