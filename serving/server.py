"""Serves an application with uvicorn until it is told to stop."""

import signal
import sys
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from serving.guard import GuardedProtocol

KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class Door:
    """Where a process listens, and how much it lets in at once."""

    host: str
    port: int
    most_connections: int
    drain_within_s: int
    """How long requests that were begun may take once the process is told to stop."""


def serve(app: Starlette, door: Door) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was begun, for at most `drain_within_s`."""
    config = uvicorn.Config(
        app,
        host=door.host,
        port=door.port,
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        limit_concurrency=door.most_connections,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=door.drain_within_s,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal that stopped it once more when all is done: the end, not a failure.
        signal.signal(number, lambda *_: sys.exit(0))
    _Server(config, app).run()


class _Server(uvicorn.Server):
    """Says `app.state.stopping` once it is to stop: answers that never end by themselves end then."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.stopping = True
        super().handle_exit(sig, frame)
