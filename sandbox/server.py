"""The sandbox served over HTTP, with connections that can be cut."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.app import TRANSPORT, Options, build

BACKLOG = 1024
KEEP_ALIVE_S = 75
"""Longer than clients keep one idle: a connection closed under a call looks like an unknown outcome."""
STOP_WITHIN_S = 2
"""For answers that are still owed when it is told to stop; those of faults would take longer."""


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class Server(uvicorn.Server):
    """`listening` is called with the address once connections are taken."""

    def __init__(self, options: Options, host: str, port: int, listening: Callable[[str], None]) -> None:
        self._socket = socket.create_server((host, port), backlog=BACKLOG)
        self._listening = listening
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        super().__init__(
            uvicorn.Config(
                build(options),
                http=_Protocol,
                ws="none",
                access_log=False,
                log_level="warning",
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_WITHIN_S,
                lifespan="on",
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening(self.address)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal asks it to stop. It is not raised again afterwards: to have stopped is success."""
        self.should_exit = True

    def serve_here(self) -> None:
        """Serve in this thread until told to stop."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve([self._socket]))
