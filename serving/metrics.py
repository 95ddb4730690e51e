"""`GET /metrics`, on a port of its own: what is for the team's Prometheus is never on the public one.

A thread beside the process's own work. Few scrapes at once, a time limit on each connection as a whole, and
who has not asked for anything yet makes room for who comes next: whoever opens many, or sends or reads a byte
at a time, takes nothing from the rest.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import structlog

PATH = "/metrics"
AT_ONCE = 4
CONNECTION_WITHIN_S = 5.0
"""From when a connection is taken until its answer is sent, however it is spread."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUSY_FOR_S = 0.25
"""How long one that comes waits for room, before the slowest to ask must make it."""
AGAIN_S = 5.0
"""How long after it could not listen it is tried again."""
_NOTICES_END_S = 0.1


class MetricsServer:
    """Serves what `render` gives, in Prometheus' text format. Nothing listens before it is entered."""

    def __init__(
        self, render: Callable[[], bytes], host: str, port: int, within_s: float = CONNECTION_WITHIN_S
    ) -> None:
        """`port` 0: one that is free. `within_s`: how long a connection may last."""
        self._render, self._host, self._port, self._within_s = render, host, port, within_s
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it is entered."""
        return self._server.server_address[1] if self._server else self._port

    def __enter__(self) -> "MetricsServer":
        """Listen. Raises OSError that says where, and what to do."""
        try:
            self._server = _Server((self._host, self._port), self._render, self._within_s)
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


def served(
    render: Callable[[], bytes] | None, host: str, port: int, again_s: float = AGAIN_S
) -> AbstractContextManager[object]:
    """While it is entered, what `render` gives is served; nothing is, where that is None.

    Where it cannot listen, as a port is taken, that is logged as an error and tried again: a process is there
    for its work, and does it unwatched rather than not at all.
    """
    return nullcontext() if render is None else _Served(MetricsServer(render, host, port), again_s)


class _Served:
    def __init__(self, server: MetricsServer, again_s: float) -> None:
        self._server, self._again_s = server, again_s
        self._over = threading.Event()
        self._trying: threading.Thread | None = None

    def __enter__(self) -> None:
        try:
            self._server.__enter__()
        except OSError as error:
            structlog.get_logger().error(
                "metrics.not_served", error=str(error), next=f"tried again every {self._again_s:g} s"
            )
            self._trying = threading.Thread(target=self._try_again, name="metrics: again", daemon=True)
            self._trying.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._trying is not None:
            self._trying.join()
        self._server.__exit__()

    def _try_again(self) -> None:
        while not self._over.wait(self._again_s):
            with suppress(OSError):
                self._server.__enter__()
                structlog.get_logger().info("metrics.served", port=self._server.port)
                return


@dataclass(slots=True)
class _Taken:
    """Since when a connection has room, and whether its request has arrived."""

    since_s: float
    has_asked: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], render: Callable[[], bytes], within_s: float) -> None:
        self.render, self._within_s = render, within_s
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._taken: dict[socket.socket, _Taken] = {}
        """The connections that have room, the one that came first at the front."""
        self._guard = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        # Before a thread is made for it: whoever opens a thousand connections gets no thousand threads.
        if not self._room.acquire(timeout=_BUSY_FOR_S):
            self._make_room()
            if not self._room.acquire(timeout=_BUSY_FOR_S):
                self.shutdown_request(request)
                return
        with self._guard:
            self._taken[request] = _Taken(time.monotonic())
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started: the next one may find that it can
            self._give_back(request)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._give_back(request)

    def service_actions(self) -> None:
        """Every moment: end what lasts too long. A limit on each read would begin anew with each byte."""
        now_s = time.monotonic()
        with self._guard:
            for connection, taken in self._taken.items():
                if now_s - taken.since_s >= self._within_s:
                    _end(connection)

    def note_asked(self, connection: socket.socket) -> None:
        """The request of a connection has arrived: it is answered, whoever else comes."""
        with self._guard:
            self._taken[connection].has_asked = True

    def _make_room(self) -> None:
        with self._guard:
            slowest = next((each for each, taken in self._taken.items() if not taken.has_asked), None)
            if slowest is not None:
                _end(slowest)

    def _give_back(self, connection: socket.socket) -> None:
        with self._guard:
            del self._taken[connection]
        self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: as a rule whoever asked has gone."""


def _end(connection: socket.socket) -> None:
    # Not closed: its thread does that, once it finds that nothing comes or goes any more.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        self.server.note_asked(self.connection)
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
