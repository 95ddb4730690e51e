"""`POST /api/webhooks/resend`: what becomes of mail, signed as Svix does.

Not on the way of Stripe's events: it has a database connection and threads of its own, and few of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from payouts.blocks import Block
from payouts.errors import PayloadError, StoreUnavailableError
from payouts.logs import get_logger
from payouts.mail_report import CameBack, read_report
from payouts.rates import RateLimitedError
from webhooks.doorkeeper import Doorkeeper

if TYPE_CHECKING:
    from payouts.mail_addresses import Addresses

MAX_BODY_BYTES = 256 * 1024
MAX_HEADER_CHARS = 4096
BODY_WITHIN_S = 10.0
WAIT_WITHIN_S = 5.0
"""A report that has to wait longer for its turn is sent again by Resend."""
AT_ONCE = 2
RETRY_AFTER_S = 60
_CLOSE = {"Connection": "close"}
_HEADERS = ("id", "timestamp", "signature")


class _Refused(Exception):  # noqa: N818 - a way out with a status
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(slots=True)
class MailReports:
    """The endpoint. A report may come again, and in any order: see `payouts.bouncing`."""

    secrets: Callable[[], Sequence[str]] = field(repr=False)
    """Those of now."""
    addresses: "Addresses"
    in_emergency: Callable[[], bool]
    doorkeeper: Doorkeeper | None = None
    """As of the endpoint for Stripe's events. None: nobody is kept out."""
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def answer(self, request: Request) -> Response:
        """200: taken, or nothing to do. 400, 408, 413: not one of Resend's. 403, 429: the sender is kept out.
        503: send it again."""
        block = None if self.doorkeeper is None else self.doorkeeper.block_of(request.scope)
        try:
            body = await _read(request)
            verify(self.secrets(), request, body)
            report = read_report(body)
        except _Refused as refused:
            return self._refuse(request, refused.status, refused.reason, block)
        except PayloadError as error:
            return self._refuse(request, 400, str(error), block)
        except ClientDisconnect:
            return Response(status_code=400)
        if report is not None and not await self._take(report):
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            return JSONResponse({"error": "not stored: send it again later"}, 503, headers)
        return JSONResponse({"received": True})

    def _refuse(self, request: Request, status: int, reason: str, block: Block | None) -> Response:
        if self.doorkeeper is not None and block is not None:
            return JSONResponse({"error": str(self.doorkeeper.blocked(request.scope, block))}, 403, _CLOSE)
        if self.doorkeeper is not None:
            rate = self.doorkeeper.rejected(self.doorkeeper.guard.address_of(request.scope))
            if rate is not None:  # and no line in the log: a flood of them would cost more than the answers
                return JSONResponse({"error": str(RateLimitedError(rate))}, 429, {**rate.headers, **_CLOSE})
        get_logger().warning("mail_report.rejected", status=status, reason=reason)
        return JSONResponse({"error": reason}, status, _CLOSE if status in (408, 413) else None)

    async def _take(self, report: CameBack) -> bool:
        try:
            async with asyncio.timeout(WAIT_WITHIN_S):
                await self._turns.acquire()
        except TimeoutError:
            return False
        try:
            is_new = await asyncio.to_thread(self._store, report)
        except Exception as error:  # noqa: BLE001 - whatever it is, Resend sends the report again
            get_logger().warning("mail_report.unavailable", error_class=type(error).__name__)
            return False
        finally:
            self._turns.release()
        get_logger().info("mail_report.taken", partner_id=str(report.partner_id), new=is_new, why=report.why)
        return True

    def _store(self, report: CameBack) -> bool:
        if self.in_emergency():
            raise StoreUnavailableError("emergency mode is on: the database is not asked")
        return self.addresses.came_back(report.partner_id, report.address, report.why, report.at_ms)


def verify(secrets: Sequence[str], request: Request, body: bytes) -> None:
    """Raise _Refused where none of `secrets` signed this body within the last five minutes.

    Svix signs as Standard Webhooks says, under names of its own.
    """
    from standardwebhooks import Webhook, WebhookVerificationError

    signed: dict[str, str] = {}
    for name in _HEADERS:
        found = request.headers.getlist(f"svix-{name}")
        if len(found) != 1 or len(found[0]) > MAX_HEADER_CHARS:
            raise _Refused(400, f"the svix-{name} header is missing, there twice, or too long")
        signed[f"webhook-{name}"] = found[0]
    reason = "no signature matches"
    for secret in secrets:
        try:
            Webhook(secret).verify(body, signed, json_parse=False)
        except WebhookVerificationError as error:
            reason = str(error)
        except ValueError:  # a signature without a comma, not base64, a body that is no UTF-8
            reason = "the signature does not read"
        else:
            return
    raise _Refused(400, reason)


async def _read(request: Request) -> bytes:
    too_large = _Refused(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        raise too_large
    body = b""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise _Refused(408, f"the body did not arrive within {BODY_WITHIN_S:.0f} s") from None
    return body
