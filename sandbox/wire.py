"""The client that delivers: POSTs over kept connections. Of an answer it reads only the status, which
costs a fraction of what a general client would."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools

MAX_IDLE = 64
"""Connections kept for one server."""

_Server = tuple[str, int, bool]


class Poster:
    def __init__(self) -> None:
        self._idle: dict[_Server, list[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, within_s: float) -> int:
        """The status of the answer; OSError or TimeoutError where none came."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        server = (parts.hostname or "", parts.port or (443 if secure else 80), secure)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {path} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()
        async with asyncio.timeout(within_s):
            return await self._exchange(server, head + body)

    async def _exchange(self, server: _Server, message: bytes) -> int:
        idle = self._idle.setdefault(server, [])
        while idle:
            kept = idle.pop()
            if kept.usable:
                try:
                    return await self._on(kept, server, message)
                except _ClosedBeforeAnswerError:
                    break  # it was closed while it was idle: a new one decides
        try:
            return await self._on(await self._connect(server), server, message)
        except httptools.HttpParserError as error:
            raise OSError("the answer is not HTTP") from error

    async def _on(self, connection: "_Connection", server: _Server, message: bytes) -> int:
        try:
            status = await connection.exchange(message)
        except BaseException:
            connection.close()
            raise
        idle = self._idle[server]
        if connection.usable and len(idle) < MAX_IDLE:
            idle.append(connection)
        else:
            connection.close()
        return status

    async def _connect(self, server: _Server) -> "_Connection":
        host, port, secure = server
        if secure and self._tls is None:
            self._tls = ssl.create_default_context()
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection, host, port, ssl=self._tls if secure else None
        )
        return connection

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()


class _ClosedBeforeAnswerError(ConnectionError):
    pass


class _Connection(asyncio.Protocol):
    """A connection with at most one exchange under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._began = False
        self.usable = True

    async def exchange(self, message: bytes) -> int:
        if self._transport is None or not self.usable:
            raise _ClosedBeforeAnswerError
        self._parser = httptools.HttpResponseParser(self)
        self._began = False
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return await self._answer

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._began = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(OSError(f"the answer is not HTTP: {error}"))

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return  # such as 100 Continue: the answer follows
        self.usable = self.usable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._fail(
            ConnectionError("closed in the middle") if self._began else _ClosedBeforeAnswerError("closed")
        )

    def _fail(self, error: OSError) -> None:
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
