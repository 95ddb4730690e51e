"""The service tells other people's servers, as processes: each channel, and what comes back of mail."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.storage.partner_notices import (
    PartnerNotice,
    PlatformNotice,
    insert_partner_notice,
    insert_platform_notice,
)
from tests.support.requests import a_partner, keep
from tests.support.servers import wait_until
from tests.support.stack import Stack
from tests.support.stand_in import Says, StandIn, standing_in

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def there(stack: Stack) -> Iterator[StandIn]:
    with standing_in() as made:
        made.usually = Says(202, {"id": "x"})
        stack.env |= {
            "RESEND_API_KEY": "re_NeverSho_NeverShown1NeverShown1",
            "RESEND_API_BASE": f"{made.url}/resend",
            "RESEND_WEBHOOK_SECRET": SECRET,
            "EMAIL_FROM": "Payouts <p@example.com>",
            "SLACK_WARNING_URL": f"{made.url}/slack",
            "PAGERDUTY_ROUTING_KEY": "key",
            "PAGERDUTY_API_BASE": f"{made.url}/pagerduty",
            "PORTAL_WEBHOOK_URL": f"{made.url}/portal",
            "PORTAL_WEBHOOK_SECRET": SECRET,
        }
        yield made


def test_everybody_is_told_and_an_address_that_mail_comes_back_from_is_left_alone(
    stack: Stack, there: StandIn
) -> None:
    partner, make_id = a_partner(), IdMaker()
    paid = {"request_id": "pay_7", "amount_minor": 12_050, "currency": "eur"}

    def tell(occasion: str) -> None:
        with stack.engine.begin() as connection:
            sent = PartnerNotice("payout.sent", partner, now_ms(), "sent", occasion, paid)
            insert_partner_notice(connection, sent, make_id)

    with stack.engine.begin() as connection:
        keep(connection, partner)
        grave = PlatformNotice("alert.recovery_begun", now_ms(), "nothing is sent", "1")
        insert_platform_notice(connection, grave, make_id)
    tell("1")
    stack.start("receiver", "worker", "scheduler")
    wait_until("all are told", lambda: len(there.got) >= 4, 30)
    by_path = {got.path: got for got in there.got}
    assert set(by_path) == {"/resend/emails", "/portal", "/slack", "/pagerduty/v2/enqueue"}
    assert by_path["/resend/emails"].json["to"] == [partner.email]
    assert (
        Webhook(SECRET).verify(by_path["/portal"].body, by_path["/portal"].headers)["type"] == "payout.sent"
    )

    tags = {tag["name"]: tag["value"] for tag in by_path["/resend/emails"].json["tags"]}
    at = datetime.now(UTC)
    data = {"to": [partner.email], "tags": tags, "bounce": {"type": "Permanent", "subType": "General"}}
    report = json.dumps({"type": "email.bounced", "created_at": at.isoformat(), "data": data})
    signed = {
        "svix-id": "msg_1",
        "svix-timestamp": str(int(at.timestamp())),
        "svix-signature": Webhook(SECRET).sign("msg_1", at, report),
    }
    answer = httpx.post(f"{stack.url.removesuffix('stripe')}resend", content=report, headers=signed)
    assert (answer.status_code, answer.json()) == (200, {"received": True})

    tell("2")
    dead = "SELECT COUNT(*) FROM notice_deliveries WHERE channel = 'email' AND status = 'dead'"
    wait_until("the second mail is not sent", lambda: stack.count(dead) == 1, 30)
    assert [got.path for got in there.got].count("/resend/emails") == 1
    for name in ("worker", "receiver", "scheduler"):
        assert "NeverShown1" not in stack.said(name)
        assert partner.email not in stack.said(name)
