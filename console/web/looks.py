"""One look at the service for all pages that are open: fifty of them cost no more than one."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import redis
from starlette.concurrency import run_in_threadpool

from payouts.clock import Clock
from payouts.logs import get_logger
from payouts.overview import Overview, Overviewer
from payouts.storage.minutes import HOURS_MOST

KEPT_FOR_MS = 2_000
RECALLED_HOURS = 4
"""Read at a time: some 5 ms, for which pages wait."""
RECALL_EVERY_S = 0.1


class Looks:
    """Keeps the last look for each number of hours. Safe to share between threads."""

    def __init__(self, overviewer: Overviewer, clock: Clock) -> None:
        self._overviewer, self._clock = overviewer, clock
        self._kept: dict[int, Overview] = {}
        self._lock = threading.Lock()

    def look(self, hours: int) -> Overview:
        """How the service is, at most KEPT_FOR_MS ago. Never raises for what is away."""
        with self._lock:  # whoever waits here gets what the first one saw
            found = self._kept.get(hours)
            if found is None or not 0 <= self._clock() - found.at_ms < KEPT_FOR_MS:
                found = self._kept[hours] = self._overviewer.look(hours)
            return found

    def recall(self, hours: int) -> None:
        """As of `Overviewer`."""
        with self._lock:
            self._overviewer.recall(hours)


@contextlib.asynccontextmanager
async def recalling(looks: Looks) -> AsyncIterator[None]:
    """From the start of a server on, two days of counts are read bit by bit: all at once they would take the
    first page that shows them a fifth of a second."""
    task = asyncio.create_task(recall_all(looks))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def recall_all(looks: Looks) -> None:
    """Read two days of counts, a little at a time; less where Redis does not answer."""
    for hours in range(RECALLED_HOURS, HOURS_MOST + 1, RECALLED_HOURS):
        try:
            await run_in_threadpool(looks.recall, hours)
        except redis.RedisError as error:
            # A look reads by itself what is missing.
            get_logger().debug("console.counts_not_recalled", error=str(error)[:300])
            return
        await asyncio.sleep(RECALL_EVERY_S)
