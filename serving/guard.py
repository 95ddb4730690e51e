"""uvicorn's protocol, with the limits that it lacks: on the header of a request, on a body unread, and on an
answer that nobody takes."""

import asyncio
import fcntl
import sys
import termios
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_WITHIN_S = 10.0
"""A connection that has not sent a whole header by then is closed; it costs nothing but itself till then."""
MAX_HEADER_BYTES = 64 * 1024
TAKES_WITHIN_S = 30.0
"""A connection whose other end has taken nothing of what waits for it by then is cut off: there are only so
many, and closing it would wait for the rest to be taken."""


class GuardedProtocol(HttpToolsProtocol):
    """A connection that ends where its header comes slowly or grows too large, or nobody takes its answer."""

    _header_bytes = 0
    _header_timer: asyncio.TimerHandle | None = None
    _taking_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADERS_WITHIN_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        self._stop_taking_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._header_timer is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._header_timer is not None and self._header_bytes > MAX_HEADER_BYTES:
            self._too_slow()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self.transport.get_write_buffer_size():  # all was taken: what waits later is something else
            self._stop_taking_timer()
        if self._header_timer is None:  # a later request of the connection
            self._header_bytes = 0
            self._header_timer = self.loop.call_later(HEADERS_WITHIN_S, self._too_slow)

    def on_response_complete(self) -> None:
        # Answered before the body was there: what still comes would be taken for ever.
        unread = self.cycle is not None and self.cycle.response_complete and self.cycle.more_body
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_taking()
        if unread:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_taking_timer()

    def on_headers_complete(self) -> None:
        self._stop_header_timer()
        super().on_headers_complete()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _watch_taking(self) -> None:
        if self._taking_timer is None:
            self._taking_timer = self.loop.call_later(
                TAKES_WITHIN_S, self._look_whether_taken, _waits(self.transport)
            )

    def _look_whether_taken(self, waited: int) -> None:
        self._taking_timer = None
        waits = _waits(self.transport)
        if waits >= waited:
            self.transport.abort()
        elif waits:
            self._watch_taking()

    def _stop_taking_timer(self) -> None:
        if self._taking_timer is not None:
            self._taking_timer.cancel()
            self._taking_timer = None

    def _too_slow(self) -> None:
        self._header_timer = None
        self.transport.close()


def _waits(transport: Any) -> int:
    """Bytes that the other end has not taken; 0 where none wait here.

    Those in the kernel count: it asks for more only once there is room for a megabyte or so, and whoever
    takes slowly would seem to take nothing.
    """
    here = int(transport.get_write_buffer_size())
    if not here:
        return 0
    in_kernel = bytearray(4)
    with suppress(OSError):  # of another kind, or just closed
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, in_kernel)
    return here + int.from_bytes(in_kernel, sys.byteorder)
