"""The wire to somebody else's server: a request, and the beginning of its answer within seconds in all.

httpx limits each read by itself, so that a server that sends a byte now and then, of the headers too, would
hold its caller for days. Here a timer cuts the connection.
"""

import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from payouts.channels.answer import Answer

if TYPE_CHECKING:
    from httpx import Client, Response

ANSWER_BYTES = 16_384
"""More of an answer is not read."""
_OPENED = (".connect_tcp.complete", ".start_tls.complete")


class NoAnswerError(Exception):
    """Nobody answered. Its text says why, and neither the address nor words of the other side's: the former
    may be a secret."""


class Wire:
    """Sends requests, one at a time, following nobody elsewhere. Connections are kept for the next."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._client: Client | None = None
        self._sockets: list[socket.socket] = []
        self._guard = threading.Lock()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request. Raises NoAnswerError where there is not even a status in time."""
        import httpx

        over = threading.Event()
        # One at a time: when its time is over, whatever this wire holds open is cut.
        with self._guard, self._cut_in_time(over):
            if self._client is None:
                self._client = httpx.Client(timeout=self._within_s, follow_redirects=False)
            try:
                with self._client.stream(
                    *(method, url),
                    content=body,
                    headers={"Accept-Encoding": "identity", **headers},
                    extensions={"trace": lambda event, info: self._seen(event, info, over)},
                ) as response:
                    return Answer(response.status_code, dict(response.headers), _begun(response))
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                if over.is_set() or isinstance(error, httpx.TimeoutException):
                    raise NoAnswerError(f"did not answer within {self._within_s:g} s") from None
                # Not the error's own words: they may hold the address.
                raise NoAnswerError(f"could not be reached ({type(error).__name__})") from None

    def close(self) -> None:
        """Let go of the connections; they are opened again when they are needed."""
        with self._guard:
            if self._client is not None:
                self._client.close()
            self._client = None
            self._sockets.clear()

    @contextlib.contextmanager
    def _cut_in_time(self, over: threading.Event) -> Any:
        timer = threading.Timer(self._within_s, self._cut, [over])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # so that it cuts nothing of the next request

    def _cut(self, over: threading.Event) -> None:
        over.set()
        for each in self._sockets:
            _shut(each)

    def _seen(self, event: str, info: Mapping[str, Any], over: threading.Event) -> None:
        if not event.endswith(_OPENED):
            return
        opened = info["return_value"].get_extra_info("socket")
        # Without those that were closed, or became the one below TLS.
        self._sockets = [*(each for each in self._sockets if each.fileno() >= 0), opened]
        if over.is_set():
            _shut(opened)


def _begun(response: "Response") -> bytes:
    # The status says what became of it. So nobody is waited for who trickles, hangs or breaks off in the
    # middle of the body: as a failure it would be sent once more to somebody who has it.
    import httpx

    begun = b""
    with contextlib.suppress(httpx.HTTPError, OSError):
        for part in response.iter_bytes():  # as it comes: in chunks of a size each would be waited for
            begun += part
            if len(begun) >= ANSWER_BYTES:
                break
    return begun[:ANSWER_BYTES]


def _shut(each: socket.socket) -> None:
    # Not close(): that neither wakes who reads, nor is the number of the socket his any more. And not the
    # method of TLS, which takes apart what is being read by.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(each, socket.SHUT_RDWR)
