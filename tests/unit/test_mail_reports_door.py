"""Who sends rubbish in place of Resend's reports, or is blocked, is kept out as at Stripe's endpoint."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook
from starlette.requests import Request

from tests.unit.test_doorkeeper import SENDER, Receiver, block
from webhooks.mail_reports import MailReports

SIGNS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "email.delivered"}'


def ask(receiver: Receiver, *, good: bool = False, **more: bytes) -> tuple[int, dict[str, str]]:
    """What a report from SENDER is answered."""
    at = datetime.now(UTC)
    signature = Webhook(SIGNS).sign("msg_1", at, BODY.decode()) if good else "v1,AAAA"
    signed = {"svix-id": "msg_1", "svix-timestamp": str(int(at.timestamp())), "svix-signature": signature}
    headers = [(name.encode(), value.encode()) for name, value in signed.items()]
    headers += [(name.replace("_", "-").encode(), value) for name, value in more.items()]

    async def receive() -> Any:
        return {"type": "http.request", "body": BODY, "more_body": False}

    request = Request({"type": "http", "client": (SENDER, 4711), "headers": headers}, receive)
    addresses: Any = None  # no report here is about an address
    reports = MailReports(lambda: [SIGNS], addresses, lambda: False, receiver.endpoint.doorkeeper)
    answer = asyncio.run(reports.answer(request))
    return answer.status_code, dict(answer.headers)


def test_rubbish_is_limited_and_what_is_signed_is_not() -> None:
    receiver = Receiver(limit=2)
    assert [ask(receiver)[0] for _ in range(4)] == [400, 400, 429, 429]
    status, headers = ask(receiver)
    assert (status, headers["connection"], "retry-after" in headers) == (429, "close", True)
    assert ask(receiver, good=True)[0] == 200


def test_who_is_blocked_is_not_answered_but_for_what_is_signed() -> None:
    receiver = Receiver(blocks=[block(f"{SENDER}/32")])
    assert ask(receiver)[0] == 403
    assert ask(receiver, good=True)[0] == 200


def test_a_length_that_is_no_number_does_not_break_the_answer() -> None:
    for length in ("²".encode("latin-1"), b"-5", b"many", b""):
        assert ask(Receiver(), good=True, content_length=length)[0] == 200
