"""What a server does now and then, beside its requests."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from payouts.logs import get_logger

SAID_EVERY_S = 60.0
"""How often it is said that it fails, while it does."""


@asynccontextmanager
async def every(seconds: float, do: Callable[[], None]) -> AsyncIterator[None]:
    """While a server's event loop runs: does something now and then, on a thread, for it may wait.

    Whatever it raises is logged, once a minute while it lasts, and it is done again all the same: that a
    server's blocks and counts stand still since one error, nobody would ever find out.
    """
    stop = asyncio.Event()
    work = getattr(do, "__qualname__", repr(do))

    async def go_on() -> None:
        said_s: float | None = None
        while not stop.is_set():
            try:
                await asyncio.to_thread(do)
            except Exception as error:  # noqa: BLE001 - it is told of, and done again
                if said_s is None or time.monotonic() - said_s >= SAID_EVERY_S:
                    said_s = time.monotonic()
                    get_logger().error("now_and_then.failed", work=work, again_in_s=seconds, exc_info=error)
            else:
                if said_s is not None:
                    get_logger().info("now_and_then.back", work=work)
                said_s = None
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        stop.set()
        await task
