"""The endpoint's own limits, without a server around it."""

import asyncio
from typing import Any

import pytest

from payouts.ids import IdMaker
from webhooks import endpoint as endpoint_module
from webhooks.endpoint import Endpoint
from webhooks.signature import signing_secrets


class NoIntake:
    async def accept(self, event: object) -> None:
        raise AssertionError("nothing here is worth storing")


def make() -> Endpoint:
    return Endpoint(NoIntake(), lambda: signing_secrets(["whsec_x"], []), False, IdMaker(), lambda: 0)  # type: ignore[arg-type]


async def call(endpoint: Endpoint, receive: Any, headers: dict[bytes, bytes]) -> int:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await endpoint({"type": "http", "headers": list(headers.items())}, receive, send)
    return int(sent[0]["status"])


def test_without_a_signature_no_body_is_read() -> None:
    async def receive() -> Any:
        raise AssertionError("the body was read")

    assert asyncio.run(call(make(), receive, {})) == 400


def test_bodies_that_trickle_in_have_a_budget_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_READING_BYTES", 1_000)
    endpoint = make()

    async def scene() -> None:
        async def trickle() -> Any:
            if not started.is_set():
                started.set()
                return {"type": "http.request", "body": b"x" * 900, "more_body": True}
            await asyncio.sleep(30)
            return None

        async def more() -> Any:
            return {"type": "http.request", "body": b"x" * 300, "more_body": True}

        async def whole() -> Any:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        headers = {b"stripe-signature": b"t=1,v1=0"}
        started = asyncio.Event()
        slow = asyncio.create_task(call(endpoint, trickle, headers))
        await started.wait()
        await asyncio.sleep(0)
        assert await call(endpoint, more, headers) == 503
        assert await call(endpoint, whole, headers) == 400  # what is there already needs no budget
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert endpoint._reading.bytes == 0

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_each_answer_is_counted_and_a_sender_that_hung_up_had_none() -> None:
    endpoint = make()

    async def whole() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def scene() -> None:
        signed = {b"stripe-signature": b"t=1,v1=0"}
        assert await call(endpoint, whole, signed) == 400
        with pytest.raises(IndexError):
            await call(endpoint, gone, signed)

    asyncio.run(scene())

    counted = {key: count for key, count in endpoint.meter.totals().items() if count and key[0] == "answers"}
    assert counted == {("answers", "receiver", "4xx"): 1}


def test_an_error_that_nobody_expected_counts_as_the_500_that_the_server_answers() -> None:
    endpoint = make()

    async def broken() -> Any:
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError):
        asyncio.run(call(endpoint, broken, {b"stripe-signature": b"t=1,v1=0"}))

    assert endpoint.meter.totals()["answers", "receiver", "5xx"] == 1
