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


class News:
    """Looks while somebody listens. An async context that runs from the process's start to its end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._listeners = 0
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
        self._wanted.set()
        seen, quiet_s = -1, 0.0
        try:
            while not until() and not self._over:
                if seen != self._version and self._topics:
                    seen, quiet_s = self._version, 0.0
                    yield dict(self._topics)
                elif quiet_s >= BEAT_S:
                    quiet_s = 0.0
                    yield None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S), self._changed:
                        await self._changed.wait()
                        continue
                quiet_s += EVERY_S
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
