"""What Sentry is sent: enough to find the error here, and nothing that must not leave."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from payouts.cleaning import Secrets
from payouts.error_reports import Cleaner
from payouts.settings import Settings
from tests.support.catcher import catching

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "DATABASE_URL": "mysql://payouts:pa55word-of-db@127.0.0.1:1/none",
    "REDIS_URL": "redis://:redis-passw0rd@127.0.0.1:1/0",
    "STRIPE_API_KEY": "sk_test_never_to_be_seen",
    "STRIPE_WEBHOOK_SECRET": "whsec_first_one,whsec_second_one",
    "OIDC_CLIENT_SECRET": "",
}
_PROGRAM = """
import logging, sys, threading
from payouts.error_reports import open_troubles
from payouts.logs import configure_logging, get_logger
from payouts.settings import load_settings

settings = load_settings()
troubles = open_troubles(settings, "worker")
configure_logging("info", "json", troubles.note)
log = get_logger()
payload = '{"account_holder_name": "Jane Roe", "iban": "DE89370400440532013000"}'

def handle(secret, body):
    raise ValueError(f"cannot use {secret} of jane.roe@example.com, account 000123456789: {body}")

log.info("event.received", event_id="evt_0")
try:
    handle(settings.stripe_webhook_secret.get_secret_value().split(",")[1], payload)
except ValueError as error:
    log.error("event.dead", event_id="evt_9", detail=payload, email="jane.roe@example.com", exc_info=error)
log.error("payout.trouble", request_id=17, error=settings.database_url.get_secret_value())
logging.getLogger("uvicorn.error").error("lost the way to %s", settings.redis_url.get_secret_value())
print(troubles.totals()[("errors",)])
raise RuntimeError("died of " + settings.stripe_api_key.get_secret_value())
"""


def items(body: bytes) -> list[dict[str, Any]]:
    """The events in an envelope of Sentry's."""
    lines = [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]
    return [line for line in lines if "level" in line and "release" in line]


def test_what_arrives_says_what_failed_and_holds_no_secret_and_no_person(tmp_path: Path) -> None:
    with catching() as caught:
        dsn = f"http://public-key@127.0.0.1:{caught.port}/1"
        env = {
            **SECRETS,
            "SENTRY_DSN": dsn,
            "ENVIRONMENT": "staging",
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin",
        }
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        events = [event for _, body in caught.posted for event in items(body)]
        everything = caught.everything.decode()

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "3"  # errors that were counted
    assert len(events) == 4
    by_event = {event["tags"].get("event", "the end"): event for event in events}
    dead = by_event["event.dead"]
    (raised,) = dead["exception"]["values"]
    assert raised["type"] == "ValueError"
    assert [frame["function"] for frame in raised["stacktrace"]["frames"]] == ["<module>", "handle"]
    assert dead["extra"] == {"event_id": "evt_9"}
    assert (dead["environment"], dead["tags"]["role"]) == ("staging", "worker")
    assert dead["release"].startswith("payouts@")
    assert by_event["payout.trouble"]["extra"] == {"request_id": 17}
    assert by_event["the end"]["exception"]["values"][0]["type"] == "RuntimeError"

    for hidden in (
        *("pa55word-of-db", "redis-passw0rd", "sk_test_never", "whsec_", "Jane Roe", "jane.roe", "DE8937"),
        *("000123456789", "evt_0", '"vars"', '"request"', "context_line", "breadcrumbs"),
    ):
        assert hidden not in everything, hidden


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("the key pa55word-of-db is wrong", "the key *** is wrong"),
        ("sent to jane.roe+x@mail.example.org", "sent to ***"),
        ("account 000123456789 of DE89 3704 0044 0532 0130 00", "account *** of ***"),
        ("4242 4242 4242 4242", "***"),
        ("KeyError in {'name': 'Jane Roe'}", "KeyError in ***"),
        ('refused [\n  {"name": "Jane"}]', "refused [\n  ***"),
        ("evt_1QabcDEF234567890 of po_12345678901", "evt_1QabcDEF234567890 of po_12345678901"),
        ("12 of 500 events", "12 of 500 events"),
    ],
)
def test_texts_are_cleaned(text: str, left: str) -> None:
    assert Cleaner(lambda: ["pa55word-of-db"]).text(text) == left


def test_what_is_not_known_is_dropped() -> None:
    event = {
        "level": "error",
        "user": {"email": "a@b.example"},
        "request": {"data": "x"},
        "contexts": {"x": 1},
        "modules": {},
        "extra": {"event_id": "evt_1", "payload": "x", "sys.argv": ["--token", "x"]},
        "breadcrumbs": {"values": [{"message": "x"}]},
    }
    assert Cleaner(list).event(event) == {"level": "error", "tags": {}, "extra": {"event_id": "evt_1"}}


def test_every_secret_of_the_settings_is_known() -> None:
    given = {name.lower(): value for name, value in SECRETS.items()}
    found = Secrets(Settings(**given)).known()  # type: ignore[arg-type]  # pydantic checks them
    assert {"pa55word-of-db", "redis-passw0rd", "sk_test_never_to_be_seen"} <= set(found)
    assert {"whsec_first_one", "whsec_second_one"} <= set(found)
    assert "" not in found
