"""Whoever takes no answer holds no connection; whoever takes it slowly gets all of it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from serving import guard
from serving.guard import GuardedProtocol

BYTES = 8 * 1024 * 1024
ASKS = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@asynccontextmanager
async def serving(*parts: int) -> AsyncIterator[tuple[ServerState, int]]:
    """A server that answers with parts of so many bytes: its state, and its port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        length = str(sum(parts)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        for number, size in enumerate(parts):
            more = number < len(parts) - 1
            await send({"type": "http.response.body", "body": b"x" * size, "more_body": more})

    config = uvicorn.Config(app, http=GuardedProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()

    def protocol() -> GuardedProtocol:
        return GuardedProtocol(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield state, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def connect(port: int) -> socket.socket:
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.setblocking(False)
    await asyncio.get_running_loop().sock_connect(caller, ("127.0.0.1", port))
    return caller


async def ended(state: ServerState) -> None:
    async with asyncio.timeout(15):
        while state.connections or state.tasks:  # noqa: ASYNC110 - it is uvicorn's, and tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("parts", [[BYTES], [BYTES, BYTES]], ids=["whole", "in parts"])
def test_who_takes_nothing_of_an_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch, parts: list[int]) -> None:
    monkeypatch.setattr(guard, "TAKES_WITHIN_S", 0.2)

    async def trial() -> None:
        async with serving(*parts) as (state, port):
            caller = await connect(port)
            try:
                await asyncio.get_running_loop().sock_sendall(caller, ASKS)
                async with asyncio.timeout(30):
                    while not state.connections:  # noqa: ASYNC110 - as above
                        await asyncio.sleep(0.01)
                await ended(state)
            finally:
                caller.close()

    uvloop.run(trial())


def test_who_takes_an_answer_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "TAKES_WITHIN_S", 1.0)

    async def trial() -> int:
        loop = asyncio.get_running_loop()
        async with serving(BYTES // 2, BYTES // 2) as (_, port):
            caller = await connect(port)
            await loop.sock_sendall(caller, ASKS)
            taken, began_s = 0, loop.time()
            while taken < BYTES and (part := await loop.sock_recv(caller, 65_536)):
                taken += len(part)
                if loop.time() - began_s < 3:  # slowly, for three times that time
                    await asyncio.sleep(0.02)
            caller.close()
            return taken

    assert uvloop.run(asyncio.wait_for(trial(), 60)) >= BYTES
