"""The official Stripe CLI, as it is, against the sandbox."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.sandbox import Json, Listener, Sandbox, sandbox_here

pytestmark = pytest.mark.skipif(
    shutil.which("stripe") is None,
    reason="the Stripe CLI is not on PATH: npm install @stripe/cli, or see Stripe's page on it",
)


@dataclass(frozen=True, slots=True)
class Told:
    """A sandbox in which one payout was paid, and an endpoint was told of it."""

    sandbox: Sandbox
    listener: Listener
    home: Path
    partner: str
    payout: str
    endpoint: str
    event: str

    def cli(self, *words: str) -> Json:
        """What the CLI prints, which must be one object."""
        flags = ["--api-key", self.sandbox.key, "--api-base", self.sandbox.url]
        home = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
        done = subprocess.run(
            ["stripe", *words, *flags],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], **home},
        )
        assert done.returncode == 0, done.stderr
        said: Json = json.loads(done.stdout)
        return said


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with sandbox_here() as sandbox, Listener() as listener:
        sandbox.top_up(1_000_000)
        partner, client = sandbox.account(), sandbox.client()
        endpoint = client.v1.webhook_endpoints.create(
            {"url": listener.url, "enabled_events": ["payout.paid"], "connect": True}
        )
        client.v1.transfers.create({"amount": 5000, "currency": "usd", "destination": partner})
        payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, {"stripe_account": partner})
        sandbox.advance(3)
        sandbox.settle()
        [event] = listener.events()
        home = tmp_path_factory.mktemp("cli")
        yield Told(sandbox, listener, home, partner, payout.id, endpoint.id, event["id"])


def test_get_shows_the_payout_of_a_partner(told: Told) -> None:
    found = told.cli("get", f"/v1/payouts/{told.payout}", "--stripe-account", told.partner)

    assert (found["id"], found["status"], found["amount"]) == (told.payout, "paid", 4000)


def test_payouts_list_lists_it(told: Told) -> None:
    found = told.cli("payouts", "list", "--stripe-account", told.partner)

    assert [payout["id"] for payout in found["data"]] == [told.payout]


def test_webhook_endpoints_list_shows_no_secret(told: Told) -> None:
    [endpoint] = told.cli("webhook_endpoints", "list")["data"]

    assert (endpoint["id"], endpoint["url"]) == (told.endpoint, told.listener.url)
    assert "secret" not in endpoint


def test_events_resend_delivers_the_same_event_again(told: Told) -> None:
    resent = told.cli(
        *("events", "resend", told.event, "--webhook-endpoint", told.endpoint, "--account", told.partner)
    )
    told.sandbox.settle()

    assert resent["id"] == told.event
    assert [event["id"] for event in told.listener.events()] == [told.event, told.event]
