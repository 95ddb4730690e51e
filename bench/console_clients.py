"""`python -m bench.console_clients PORT COOKIE COUNT`: so many open pages, as console.js keeps them current.

Each listens to /live and asks for its page again once something changed: soon after one change, every five
seconds in a stream of them. Bare sockets, so that what they cost is the console's, hardly their own. Ends
with SIGTERM, and prints how many pages were asked for.
"""

import asyncio
import contextlib
import signal
import sys

SOONEST_S, BUSY_S = 0.7, 5.0
PAGES = ("/", "/events", "/events?status=dead", "/events?type=payout.paid", "/audit")
asked = 0


async def main(port: int, cookie: str, count: int) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    pages = [
        asyncio.create_task(open_page(port, cookie, PAGES[number % len(PAGES)])) for number in range(count)
    ]
    print("listening", flush=True)
    await over.wait()
    for page in pages:
        page.cancel()
    for ended in await asyncio.gather(*pages, return_exceptions=True):
        if isinstance(ended, Exception):
            print(f"a page failed: {ended!r}", flush=True)
    print(f"asked {asked}", flush=True)


async def open_page(port: int, cookie: str, path: str) -> None:
    """Two connections: one that listens, one that asks."""
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_listen(port, cookie, changed))
        group.create_task(_renew(port, cookie, path, changed))


async def _listen(port: int, cookie: str, changed: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request("/live", cookie))
    await _head(reader, "/live")
    known = False
    while line := await reader.readline():
        if line.startswith(b"data:"):
            if known:
                changed.set()
            known = True
    raise ConnectionError("the console ended a stream")


async def _renew(port: int, cookie: str, path: str, changed: asyncio.Event) -> None:
    global asked
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    now = asyncio.get_running_loop().time
    wait, last = SOONEST_S, 0.0
    while True:
        await changed.wait()
        changed.clear()
        since = now() - last
        wait = min(BUSY_S, wait * 2) if since < 2 * wait else SOONEST_S
        await asyncio.sleep(max(0.0, wait - since))
        writer.write(_request(path, cookie))
        length = await _head(reader, path)
        await reader.readexactly(length)
        asked, last = asked + 1, now()


def _request(path: str, cookie: str) -> bytes:
    return (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nX-Live: 1\r\n\r\n").encode()


async def _head(reader: asyncio.StreamReader, path: str) -> int:
    """The length of the body that follows; 0: none is told."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if " 200 " not in head.partition("\r\n")[0] + " ":
        raise ConnectionError(f"{path} answered {head.partition(chr(13))[0]}")
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name == "content-length":
            return int(value)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
