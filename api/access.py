"""One log line for each request, with the ids that it was about; and an id for the request itself."""

import time
from collections.abc import Collection
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.meters import HttpMeter

REQUEST_ID = "X-Request-Id"
_NOTES = "api.notes"
_PATH_CHARS = 120


class AccessLog:
    """Around the application: gives each request an id, logs and counts what came of it.

    Probes of `uncounted` are not counted: there are so many that they would hide what callers meet.
    Neither headers nor parameters nor bodies are logged: tokens and addresses of people stand there. Where a
    request came from is logged of one that was refused for who sent it.
    """

    def __init__(self, app: ASGIApp, make_id: IdMaker, meter: HttpMeter, uncounted: Collection[str]) -> None:
        self._app, self._make_id = app, make_id
        self._meter, self._uncounted = meter, uncounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        notes: dict[str, Any] = {"request_id": f"req_{self._make_id()}"}
        scope[_NOTES] = notes
        began_s, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = notes["request_id"]
                headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            took_s = time.monotonic() - began_s
            if scope["path"] not in self._uncounted:
                self._meter.answered(status or 500, took_s)
            get_logger().info(
                "api.request",
                method=scope["method"],
                path=scope["path"][:_PATH_CHARS],
                status=status,
                took_ms=round(took_s * 1000),
                **notes,
            )


def note(scope: Scope, **notes: Any) -> None:
    """Add to the log line of this request."""
    scope.setdefault(_NOTES, {}).update(notes)


def noted(scope: Scope, name: str) -> Any:
    """What was added under this name; None where nothing was."""
    return scope.get(_NOTES, {}).get(name)


def request_id_of(scope: Scope) -> str:
    """The id of this request, as its answer and the log name it."""
    return str(scope.get(_NOTES, {}).get("request_id", ""))
