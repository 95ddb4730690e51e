"""`GET /metrics`, on a port of its own: what is for the team's Prometheus is never on the public one.

A thread beside the process's own work. Few scrapes at once and a time limit on each connection: whoever opens
many, or sends slowly, takes nothing from the rest.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

PATH = "/metrics"
AT_ONCE = 4
CONNECTION_WITHIN_S = 5.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUSY_FOR_S = 1.0
_NOTICES_END_S = 0.1


class MetricsServer:
    """Serves what `render` gives, in Prometheus' text format. Nothing listens before it is entered."""

    def __init__(self, render: Callable[[], bytes], host: str, port: int) -> None:
        """`port` 0: one that is free."""
        self._render, self._host, self._port = render, host, port
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it is entered."""
        return self._server.server_address[1] if self._server else self._port

    def __enter__(self) -> "MetricsServer":
        """Listen. Raises OSError that says where, and what to do."""
        try:
            self._server = _Server((self._host, self._port), self._render)
        except OSError as error:
            raise OSError(
                f"metrics cannot be served at {self._host}:{self._port}: {error}; each process of a machine "
                "needs a METRICS_PORT of its own, apart from where it serves others (0: no metrics)"
            ) from None
        work = threading.Thread(
            target=self._server.serve_forever, args=(_NOTICES_END_S,), name="metrics", daemon=True
        )
        work.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def served(render: Callable[[], bytes] | None, host: str, port: int) -> AbstractContextManager[object]:
    """While it is entered, what `render` gives is served; nothing is, where that is None."""
    return nullcontext() if render is None else MetricsServer(render, host, port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], render: Callable[[], bytes]) -> None:
        self.render = render
        self.room = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        # Before a thread is made for it: whoever opens a thousand connections gets no thousand threads.
        if not self.room.acquire(timeout=_BUSY_FOR_S):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: as a rule whoever asked has gone."""


class _Handler(BaseHTTPRequestHandler):
    timeout = CONNECTION_WITHIN_S
    server: _Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if self.path.partition("?")[0] != PATH:
            self.send_error(404, f"metrics are at {PATH}")
            return
        content = self.server.render()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def version_string(self) -> str:
        """No name and no version of what serves."""
        return "metrics"

    def log_message(self, format: str, *args: object) -> None:
        """Silent: a scrape every few seconds is no news."""
