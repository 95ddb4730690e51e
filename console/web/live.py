"""What is live: one look at the database a second for all open pages, and word to each of what has changed.

A page is told that something it shows has changed, never what: it then asks for itself again, with the
rights of its reader. Nobody listening: nobody looks.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import redis
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console.web.call import json_response
from console.web.frame import Frame
from console.web.parts import Parts
from payouts.logs import get_logger
from payouts.storage.news_queries import news
from payouts.storage.queries import reading
from payouts.tokens import TokenError

EVERY_S = 1.0
NOW_EVERY_MS = 5_000
STREAM_S = 300.0
"""A stream ends after so long, and the page opens another one: whoever was signed out hears no more."""
BEAT_S = 15.0
"""A line without meaning after so long, so that proxies keep the connection."""
STREAMS_MOST = 1_000
TOLD_PER_S = 10
"""Of many pages so many are told of a change in a second: told all at once, they would all ask at once, and
whatever shares their cores would wait for them."""
SPREAD_MOST_S = 5.0
FEW = 3
"""So many pages are told at once."""
_GOLDEN = (5**0.5 - 1) / 2


class News:
    """Looks while somebody listens. An async context that runs from the process's start to its end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._listeners = 0
        self._came = 0
        self._changed = asyncio.Condition()
        self._wanted = asyncio.Event()
        self._version = 0
        self._topics: dict[str, str] = {}
        self._over = False

    async def __aenter__(self) -> "News":
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def listen(self, until: Callable[[], bool]) -> AsyncIterator[dict[str, str] | None]:
        """The versions of all topics, at once and after each change; None when there was none for a while."""
        if self._listeners >= STREAMS_MOST:
            return
        self._listeners += 1
        self._came += 1
        place = self._came * _GOLDEN % 1  # however many come and go, they stay evenly spread
        self._wanted.set()
        clock_s = asyncio.get_running_loop().time
        seen, said_s, due_s = -1, clock_s(), float("inf")
        try:
            while not until() and not self._over:
                now_s = clock_s()
                if seen != self._version and self._topics:
                    wait_s = place * spread_s(self._listeners) if seen >= 0 else 0.0
                    due_s = min(due_s, now_s + wait_s)  # changes that come meanwhile are told together
                if now_s >= due_s:
                    seen, said_s, due_s = self._version, now_s, float("inf")
                    yield dict(self._topics)
                elif now_s - said_s >= BEAT_S:
                    said_s = now_s
                    yield None
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(EVERY_S, due_s - now_s)), self._changed:
                            await self._changed.wait()
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._wanted.clear()

    async def _look(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                topics = await run_in_threadpool(self._read)
            except (SQLAlchemyError, redis.RedisError) as error:
                get_logger().warning("console.news_not_read", error=str(error)[:300])
                topics = self._topics
            if topics != self._topics:
                async with self._changed:
                    self._topics, self._version = topics, self._version + 1
                    self._changed.notify_all()
            await asyncio.sleep(EVERY_S)

    def _read(self) -> dict[str, str]:
        with reading(self._parts.engine) as connection:
            found = {topic: _digest(values) for topic, values in news(connection).items()}
        # What has no newest row of its own, as ages and counts, is shown anew now and then.
        return {**found, "now": str(self._parts.clock() // NOW_EVERY_MS)}


def spread_s(listeners: int) -> float:
    """Over what time so many pages are told of a change."""
    return min(listeners / TOLD_PER_S, SPREAD_MOST_S) if listeners > FEW else 0.0


def stream(frame: Frame, source: News) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that pages listen to."""

    async def endpoint(request: Request) -> Response:
        try:
            visitor = await run_in_threadpool(frame.visitor, request)
        except TokenError:
            visitor = None
        if visitor is None:
            return json_response({"error": "not_signed_in", "message": "sign in first"}, 401)
        end_s = asyncio.get_running_loop().time() + STREAM_S

        def is_over() -> bool:
            stopping = getattr(request.app.state, "stopping", False)
            return stopping or asyncio.get_running_loop().time() > end_s

        async def lines() -> AsyncIterator[bytes]:
            yield b"retry: 2000\n\n"
            async for topics in source.listen(is_over):
                yield b": \n\n" if topics is None else b"data: " + msgspec.json.encode(topics) + b"\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return endpoint


def _digest(values: Any) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]
