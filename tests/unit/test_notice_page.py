"""The page about notices says what is so, and its example works."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from payouts.alerts import CRITICAL
from payouts.books import MOVE_NOTICES
from payouts.channels.line import Line
from payouts.channels.portal import PortalChannel
from payouts.letters.letter import NAMES
from payouts.notices import Notice, channels_for
from payouts.open_channels import routes_of
from payouts.portal_event import event_of
from payouts.settings import Settings
from payouts.states import DOMAIN_EVENT
from tests.support.stand_in import standing_in

PAGE = (Path(__file__).parents[2] / "docs" / "notices.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"no example in {language}"
    return found[1]


@pytest.fixture
def take() -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - the example of the page
    return names["take"]  # type: ignore[no-any-return]


def test_the_example_takes_what_the_channel_sends_once(take: Callable[..., Any]) -> None:
    body = json.dumps({"name": "payout.sent", "amount_minor": 5, "currency": "eur"})
    told = Notice(5, "acct_1", "payout.sent", None, 7, body, 1_790_000_000_000)
    with standing_in() as there:
        line = Line("the portal", lambda: there.url, 5)
        channel = PortalChannel(line, lambda: [SECRET], lambda: int(datetime.now(UTC).timestamp() * 1000))
        for _ in range(2):
            channel.deliver(told)
        line.close()
        first, again = there.got
    known: set[str] = set()
    assert take(first.headers, first.body, SECRET, known)["data"]["amount_minor"] == 5
    assert take(again.headers, again.body, SECRET, known) is None


@pytest.mark.parametrize("signature", ["v1,AAAA", "nonsense", ""])
def test_the_example_refuses_what_is_not_signed(take: Callable[..., Any], signature: str) -> None:
    at = str(int(datetime.now(UTC).timestamp()))
    headers = {"webhook-id": "5", "webhook-timestamp": at, "webhook-signature": signature}
    with pytest.raises(WebhookVerificationError):
        take(headers, b"{}", SECRET, set())


def test_the_event_on_the_page_is_one_as_it_is_sent() -> None:
    shown = json.loads(block("json"))
    data = shown["data"]
    body = {**data, "arrival_date_s": 1_796_169_600, "occurred_at_ms": 1_796_115_723_600}
    request_id = int(data["request_id"].removeprefix("pay_"))
    told = Notice(int(shown["id"]), data["account"], shown["type"], 3, request_id, json.dumps(body), 0)
    assert json.loads(event_of(told)) == shown


def test_every_notice_of_a_payout_is_on_the_page() -> None:
    names = {*DOMAIN_EVENT.values(), *MOVE_NOTICES.values(), *NAMES} - {"alert.payout_unclear"}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


def test_every_critical_alert_is_on_the_page() -> None:
    assert [name for name in sorted(CRITICAL) if f"`{name}`" not in PAGE] == []


def test_every_setting_on_the_page_is_one() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE))
    assert named
    assert [name for name in sorted(named) if name.lower() not in Settings.model_fields] == []


def test_the_secret_that_the_page_makes_is_one_that_signs() -> None:
    code = re.search(r'python3 -c "(.*?)"\n', PAGE)
    assert code
    said: list[str] = []
    exec(code[1], {"print": said.append})  # noqa: S102 - the command of the page
    Settings(
        database_url="sqlite://",
        redis_url="redis://127.0.0.1:1/0",
        portal_webhook_url="https://portal.example.com/hooks",
        portal_webhook_secret=said[0],
    )
    assert Webhook(said[0])


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("payout.completed", {"email", "portal"}),
        ("payout.requested", {"portal"}),
        ("bank_account.needed", {"email", "portal"}),
        ("partner.maintenance_planned", {"email"}),
        ("maintenance.started", {"slack", "portal"}),
        ("maintenance.reminder", {"slack"}),
        ("maintenance.report", {"slack"}),
        ("alert.email_bouncing", {"slack", "portal"}),
        ("alert.events_dying", {"slack"}),
        ("alert.test", {"slack", "portal"}),
        ("alert.test_critical", {"slack", "pagerduty"}),
        ("alert.recovery_ended", {"slack", "pagerduty"}),
        ("alert.ledger_broken", {"slack", "pagerduty"}),
    ],
)
def test_who_is_told_what(name: str, channels: set[str]) -> None:
    routes = routes_of(["log", "email", "slack", "pagerduty", "portal"])
    assert set(channels_for(name, routes)) == {"log", *channels}
