"""`POST /api/webhooks/stripe`: from a request to a durable event and an answer.

A plain ASGI application rather than a Starlette handler: it reads the body itself, so that the size limit
and the time limit hold while it comes in.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from starlette.types import Message, Receive, Scope, Send

from payouts.blocks import Block
from payouts.clock import Clock
from payouts.errors import PayloadError, PayoutsError
from payouts.event import Envelope, read_envelope
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.meters import DELIVERIES, SIGNATURES, HttpMeter, Totals
from payouts.rates import RateLimitedError
from payouts.sealing import Sealer
from payouts.storage.inbox import WEBHOOK, NewEvent
from payouts.tracing import Traces
from webhooks.doorkeeper import Doorkeeper
from webhooks.intake import Intake, OverloadedError
from webhooks.signature import BadSignatureError, SigningSecret, verify

MAX_BODY_BYTES = 1024 * 1024
MAX_READING_BYTES = 64 * 1024 * 1024
"""Of bodies that come in in pieces, all together: nobody has shown a signature for them yet."""
MAX_BLOCKED_READING_BYTES = 4 * 1024 * 1024
"""The same, of senders that are blocked: they take nothing from the others."""
BODY_WITHIN_S = 10.0
"""A sender that has not sent its body by then is answered 408 and cut off."""
RETRY_AFTER_S = 30


@dataclass(slots=True)
class Counts:
    """What this process answered since it started."""

    families: ClassVar = (DELIVERIES, SIGNATURES)
    received: int = 0
    other_mode: int = 0
    rejected: int = 0
    bad_signatures: int = 0
    """Of those rejected."""
    bad_signatures_from_stripe: int = 0
    """Of these, from an address that Stripe publishes: a secret that is wrong, not somebody else."""
    unavailable: int = 0

    def shown(self) -> dict[str, int]:
        """The same, by name."""
        return asdict(self)

    def totals(self) -> Totals:
        """The same, as a meter."""
        return {
            (DELIVERIES, "stored"): self.received,
            (DELIVERIES, "other_mode"): self.other_mode,
            (DELIVERIES, "rejected"): self.rejected,
            (DELIVERIES, "unavailable"): self.unavailable,
            (SIGNATURES, "stripe"): self.bad_signatures_from_stripe,
            (SIGNATURES, "other"): self.bad_signatures - self.bad_signatures_from_stripe,
        }


class _Answer(Exception):  # noqa: N818 - not an error: a way out with a status
    def __init__(self, status: int, reason: str, *, bad_signature: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.bad_signature = bad_signature


class _HungUp(Exception):  # noqa: N818 - as above
    """The sender closed the connection before its body was complete."""


@dataclass(slots=True)
class _Reading:
    """How much of bodies is held that come in in pieces, and the most there may be."""

    most: int
    bytes: int = 0


@dataclass(slots=True)
class Endpoint:
    """The webhook endpoint as an ASGI application."""

    intake: Intake
    secrets: Callable[[], Sequence[SigningSecret]] = field(repr=False)
    """Those that a delivery may be signed with now."""
    livemode: bool
    make_id: IdMaker
    clock: Clock
    seal: Callable[[bytes], bytes] = Sealer().seal
    """How the body is kept, in the inbox and in the spill."""
    log_events: bool = False
    counts: Counts = field(default_factory=Counts)
    meter: HttpMeter = field(default_factory=lambda: HttpMeter("receiver"))
    doorkeeper: Doorkeeper | None = None
    """Who is blocked, and who sends too much without a good signature. None: nobody."""
    now_s: Callable[[], float] = time.time
    traces: Traces | None = None
    _reading: "_Reading" = field(default_factory=lambda: _Reading(MAX_READING_BYTES))
    _reading_blocked: "_Reading" = field(default_factory=lambda: _Reading(MAX_BLOCKED_READING_BYTES))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_s, status = time.perf_counter(), 500
        block = None if self.doorkeeper is None else self.doorkeeper.block_of(scope)
        try:
            await self._take(scope, receive, block)
        except _Answer as answer:
            status = await self._refuse(answer, scope, send, block)
        except _HungUp:
            status = 0
        except PayoutsError as error:
            status = 503
            self.counts.unavailable += 1
            get_logger().warning("webhook.unavailable", reason=str(error))
            await _answer(send, 503, {"error": f"not stored: {error}; send it again later"}, retry=True)
        else:
            status = 200
            await send(_OK_START)
            await send(_OK_BODY)
        finally:
            if status:
                self.meter.answered(status, time.perf_counter() - began_s)

    async def _take(self, scope: Scope, receive: Receive, block: Block | None) -> None:
        header = _signature_header(scope)
        if not header:
            raise _Answer(400, "the Stripe-Signature header is missing", bad_signature=True)
        body = await self._read_body(scope, receive, block)
        try:
            secret = verify(header, body, self.secrets(), self.now_s())
            envelope = read_envelope(body)
        except (BadSignatureError, PayloadError) as error:
            unsigned = isinstance(error, BadSignatureError)
            raise _Answer(400, str(error), bad_signature=unsigned) from None
        if block is not None and self.doorkeeper is not None:
            self.doorkeeper.taken(scope, block)
        if envelope.livemode != self.livemode:
            self.counts.other_mode += 1
            self._log_received(envelope, "other mode: acknowledged, not stored")
            return
        began_ns = time.time_ns() if self.traces is not None else 0
        stored = self.seal(body)
        event = NewEvent(self.make_id(), envelope, WEBHOOK, secret.label, self.clock(), stored)
        await self.intake.accept(event)
        self.counts.received += 1
        if self.traces is not None:
            self.traces.received(envelope.event_id, envelope.type, began_ns)
        if self.log_events:
            self._log_received(envelope, "stored")

    async def _read_body(self, scope: Scope, receive: Receive, block: Block | None) -> bytes:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:20]) > MAX_BODY_BYTES:
                raise _too_large()
        deadline = asyncio.get_running_loop().time() + BODY_WITHIN_S
        message = await _next(receive, deadline)
        first: bytes = message.get("body", b"")
        if not message.get("more_body") and len(first) <= MAX_BODY_BYTES:
            return first  # as a rule: all of it is there already
        reading = self._reading_blocked if block else self._reading
        chunks, size = [first], len(first)
        reading.bytes += size
        try:
            while message.get("more_body") and size <= MAX_BODY_BYTES:
                if reading.bytes > reading.most:
                    too_much = f"bodies of more than {reading.most} bytes come in at once"
                    raise _Answer(503, too_much) if block else OverloadedError(too_much)
                message = await _next(receive, deadline)
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                reading.bytes += len(chunks[-1])
        finally:
            reading.bytes -= size
        if size > MAX_BODY_BYTES:
            raise _too_large()
        return b"".join(chunks)

    async def _refuse(self, answer: _Answer, scope: Scope, send: Send, block: Block | None) -> int:
        """Refuse a delivery; the status it was answered."""
        if self.doorkeeper is not None and block is not None:
            error = self.doorkeeper.blocked(scope, block)
            await _answer(send, 403, {"error": str(error)}, close=True)
            return 403
        self.counts.rejected += 1
        self.counts.bad_signatures += answer.bad_signature
        client, rate = None, None
        if self.doorkeeper is not None:
            client = self.doorkeeper.guard.address_of(scope)
            if answer.bad_signature and self.doorkeeper.guard.is_stripe(client):
                self.counts.bad_signatures_from_stripe += 1
            rate = self.doorkeeper.rejected(client)
        if rate is not None:
            # Neither a log line nor the reason: that is what a flood of them would cost.
            headers = [(name.lower().encode(), value.encode()) for name, value in rate.headers.items()]
            await _answer(send, 429, {"error": str(RateLimitedError(rate))}, *headers, close=True)
            return 429
        get_logger().warning("webhook.rejected", status=answer.status, reason=answer.reason, client=client)
        await _answer(send, answer.status, {"error": answer.reason}, close=answer.status in (408, 413))
        return answer.status

    def _log_received(self, envelope: Envelope, outcome: str) -> None:
        get_logger().info(
            "event.received",
            event_id=envelope.event_id,
            type=envelope.type,
            account=envelope.account,
            livemode=envelope.livemode,
            outcome=outcome,
        )


def _signature_header(scope: Scope) -> bytes:
    found = [value for name, value in scope["headers"] if name == b"stripe-signature"]
    if len(found) > 1:
        raise _Answer(400, "more than one Stripe-Signature header")
    return found[0] if found else b""


async def _next(receive: Receive, deadline: float) -> Message:
    try:
        async with asyncio.timeout_at(deadline):
            message = await receive()
    except TimeoutError:
        raise _Answer(408, f"the body did not arrive within {BODY_WITHIN_S:.0f} s") from None
    if message["type"] == "http.disconnect":
        raise _HungUp
    return message


def _too_large() -> _Answer:
    return _Answer(413, f"the body is larger than {MAX_BODY_BYTES} bytes")


def _start(status: int, length: int, *extra: tuple[bytes, bytes]) -> Message:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % length), *extra]
    return {"type": "http.response.start", "status": status, "headers": headers}


_OK = b'{"received":true}'
_OK_START: Message = _start(200, len(_OK))
_OK_BODY: Message = {"type": "http.response.body", "body": _OK}


async def _answer(
    send: Send,
    status: int,
    body: dict[str, str],
    *headers: tuple[bytes, bytes],
    retry: bool = False,
    close: bool = False,
) -> None:
    content = json.dumps(body).encode()
    extra = [*headers, *([(b"retry-after", b"%d" % RETRY_AFTER_S)] if retry else [])]
    if close:
        extra.append((b"connection", b"close"))
    await send(_start(status, len(content), *extra))
    await send({"type": "http.response.body", "body": content})
