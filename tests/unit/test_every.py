"""What a server does now and then is done until its end."""

import asyncio
import threading

from structlog.testing import capture_logs

from payouts.every import every


def test_what_is_done_now_and_then_goes_on_after_whatever_it_raised_and_that_is_logged_once() -> None:
    done: list[int] = []
    enough = threading.Event()

    def do() -> None:
        done.append(len(done))
        if len(done) < 4:
            raise KeyError("nobody expected that")
        if len(done) == 6:
            enough.set()

    async def serve() -> None:
        async with every(0.001, do):
            assert await asyncio.to_thread(enough.wait, 30)

    with capture_logs() as logged:
        asyncio.run(serve())
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("now_and_then.failed", "error"),
        ("now_and_then.back", "info"),
    ]
    assert isinstance(logged[0]["exc_info"], KeyError)
    assert "do" in logged[0]["work"]
