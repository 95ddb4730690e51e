"""How a server is: `/api/health` in full, `/api/live` and `/api/ready` for whoever sends it requests.

A check asks one thing that the server needs. It is asked when somebody wants to know, at most once in its
time, by one thread at a time, and waited for only so long: a dependency that is dead or hangs neither holds
up the answer nor is asked again and again. In between everybody is told what was found last.
"""

import asyncio
import concurrent.futures
import inspect
import math
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

HEALTH, LIVE, READY = "/api/health", "/api/live", "/api/ready"
PATHS = frozenset({HEALTH, LIVE, READY})
UNAVAILABLE = 503

Status = Literal["pass", "warn", "fail"]
Overall = Literal["healthy", "degraded", "unhealthy"]


class Found(Protocol):
    """What a check found. `note` is shown to anybody who asks; `latency_ms`: None where nothing was timed."""

    @property
    def status(self) -> Status: ...
    @property
    def note(self) -> str: ...
    @property
    def latency_ms(self) -> float | None: ...


class Check(Protocol):
    """Asks for one thing, every `every_s` at the most, and is waited for `within_s`."""

    @property
    def name(self) -> str: ...
    @property
    def every_s(self) -> float: ...
    @property
    def within_s(self) -> float: ...
    @property
    def ask(self) -> Callable[[], Found | Awaitable[Found]]:
        """Blocks, or is a coroutine. Whatever it raises is a failure, told without the error's text."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """How one thing stands."""

    status: Status
    note: str = ""
    latency_ms: float | None = None

    def shown(self) -> dict[str, Any]:
        """As it is told: whole ms, those begun counted."""
        latency = {} if self.latency_ms is None else {"latency": math.ceil(self.latency_ms)}
        return {"status": self.status, **latency, **({"note": self.note} if self.note else {})}


Told = Callable[[str, Result, BaseException | None], None]
"""Told of each check that stands otherwise than before, with the error behind it."""


@dataclass(frozen=True, slots=True)
class About:
    """What is told of the server itself. `now`: the time as ISO 8601."""

    version: str
    environment: str
    now: Callable[[], str]
    counts: Callable[[], Mapping[str, int]] | None = None
    """What this process counted since it started, for `/api/live`."""


class Health:
    """The three answers of one server. For one event loop."""

    def __init__(
        self,
        about: About,
        checks: Sequence[Check],
        fatal: Sequence[Collection[str]],
        told: Told = lambda *_: None,
        close: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fatal`: where all of one of these fail, the server cannot do its work: it is unhealthy.

        Any other thing that does not pass makes it degraded. `close` ends what the checks hold.
        """
        self.close = close
        self._about = about
        self._watched = [_Watched(check, told, monotonic) for check in checks]
        self._fatal = [frozenset(names) for names in fatal]
        self._monotonic = monotonic
        self._started_s = monotonic()
        self._connected = False

    def routes(self) -> list[BaseRoute]:
        """The addresses; each answers HEAD as well."""
        return [
            Route(HEALTH, self.health, methods=["GET"]),
            Route(LIVE, self.live, methods=["GET"]),
            Route(READY, self.ready, methods=["GET"]),
        ]

    async def health(self, request: Request) -> Response:
        """Everything that is known; 503 where the server is unhealthy."""
        found = await self.look()
        overall = self.overall(found)
        body = {
            "status": overall,
            "timestamp": self._about.now(),
            "version": self._about.version,
            "environment": self._about.environment,
            "uptime": self._uptime_s(),
            "checks": {name: result.shown() for name, result in found.items()},
        }
        return _json(body, UNAVAILABLE if overall == "unhealthy" else 200)

    async def live(self, request: Request) -> Response:
        """The process answers. Nothing is asked: a new process would not mend what this one depends on."""
        body: dict[str, Any] = {
            "status": "live",
            "version": self._about.version,
            "uptime": self._uptime_s(),
        }
        if self._about.counts is not None:
            body["counts"] = dict(self._about.counts())
        return _json(body, 200)

    async def ready(self, request: Request) -> Response:
        """Whether it should be sent requests: from when its stores answered once, until it is to stop.

        What fails later does not take it out: all servers of a role share what they depend on, and with none
        of them left nobody would be told to come back later.
        """
        if getattr(request.app.state, "stopping", False):
            return _json({"status": "stopping"}, UNAVAILABLE)
        if not self._connected:
            self._connected = self.overall(await self.look()) != "unhealthy"
        if not self._connected:
            return _json({"status": "starting"}, UNAVAILABLE)
        return _json({"status": "ready"}, 200)

    async def look(self) -> dict[str, Result]:
        """How each thing stands. Takes as long as the slowest check may, at the most."""
        results = await asyncio.gather(*(watched.result() for watched in self._watched))
        return {watched.check.name: result for watched, result in zip(self._watched, results, strict=True)}

    def overall(self, found: Mapping[str, Result]) -> Overall:
        """What `found` means for the work of the server."""
        failed = {name for name, result in found.items() if result.status == "fail"}
        if any(names <= failed for names in self._fatal):
            return "unhealthy"
        return "healthy" if all(result.status == "pass" for result in found.values()) else "degraded"

    def _uptime_s(self) -> int:
        return int(self._monotonic() - self._started_s)


@dataclass(slots=True)
class _Watched:
    """A check and what it found last."""

    check: Check
    told: Told
    monotonic: Callable[[], float]
    _last: Result | None = None
    _asked_s: float = 0.0
    _asking: "concurrent.futures.Future[Found] | None" = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def result(self) -> Result:
        async with self._lock:  # whoever comes meanwhile is told the same
            if self._last is None or self.monotonic() - self._asked_s >= self.check.every_s:
                await self._ask()
            return self._last or Result("warn", "not asked yet")

    async def _ask(self) -> None:
        error: BaseException | None = None
        try:
            found = await asyncio.wait_for(self._answer(), self.check.within_s)
        except TimeoutError as late:
            error, result = late, Result("fail", f"no answer within {self.check.within_s:g} s")
        except Exception as met:  # noqa: BLE001 - whatever it meets, it does not stand well
            error, result = met, Result("fail", "it does not answer as it should: the log says more")
        else:
            result = Result(found.status, found.note, found.latency_ms)
        before, self._last, self._asked_s = self._last, result, self.monotonic()
        if result.status != (before.status if before else "pass"):
            self.told(self.check.name, result, error)

    async def _answer(self) -> Found:
        if inspect.iscoroutinefunction(self.check.ask):
            return cast(Found, await self.check.ask())
        # One thread at a time: what hangs on holds one, not one for each time that somebody asks.
        asking = self._asking
        if asking is None or asking.done():
            asking = self._asking = _in_thread(self.check)
        return await asyncio.shield(asyncio.wrap_future(asking))


def _in_thread(check: Check) -> "concurrent.futures.Future[Found]":
    # A thread of its own rather than one of a pool: the end of the process does not wait for it.
    future: concurrent.futures.Future[Found] = concurrent.futures.Future()

    def run() -> None:
        try:
            found = cast(Found, check.ask())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            future.set_exception(error)
        else:
            future.set_result(found)

    threading.Thread(target=run, name=f"health: {check.name}", daemon=True).start()
    return future


def _json(body: Mapping[str, Any], status: int) -> Response:
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})
