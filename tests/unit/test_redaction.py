"""What Stripe says of people and banks is neither shown nor logged; what helps to find a fault is."""

import json
from typing import Any

import pytest

from payouts.logs import configure_logging, get_logger
from payouts.redaction import REDACTED, SENSITIVE, redact_payload, redacted

BANK_ACCOUNT = {
    "id": "ba_1",
    "object": "bank_account",
    "account_holder_name": "Jane Austen",
    "account_holder_type": "company",
    "bank_name": "STRIPE TEST BANK",
    "country": "US",
    "currency": "usd",
    "fingerprint": "AuoSJ18zsVWV9SPc",
    "last4": "6789",
    "routing_number": "110000000",
    "status": "new",
}
ACCOUNT: dict[str, Any] = {
    "id": "acct_1",
    "object": "account",
    "email": "jane@example.com",
    "country": "DE",
    "business_profile": {"name": "Austen Books", "mcc": "5942", "support_phone": None},
    "company": {"name": "Austen Books", "tax_id": "DE123", "phone": "+49301", "address": {"city": "Berlin"}},
    "individual": {
        "first_name": "Jane",
        "last_name": "Austen",
        "dob": {"day": 16, "month": 12, "year": 1975},
        "ssn_last_4": "1234",
        "id_number": "X99",
        "address": {"line1": "Hauptstr. 1", "postal_code": "10115"},
        "verification": {"status": "verified", "document": {"front": "file_1"}},
    },
    "requirements": {"currently_due": ["individual.first_name"], "disabled_reason": None},
    "tos_acceptance": {"date": 1, "ip": "203.0.113.7", "user_agent": "Firefox"},
    "external_accounts": {"data": [BANK_ACCOUNT]},
}
SECRETS = (
    *("Jane", "Austen", "jane@", "6789", "110000000", "AuoSJ18", "DE123", "+4930", "Berlin", "1975", "1234"),
    *("X99", "Hauptstr", "10115", "file_1", "203.0.113", "Firefox"),
)


def test_a_partners_account_is_shown_without_the_person_behind_it() -> None:
    event = {"id": "evt_1", "data": {"object": ACCOUNT, "previous_attributes": {"email": "jane@example.org"}}}
    shown = redact_payload(json.dumps(event).encode())
    assert [word for word in SECRETS if word in shown] == []
    kept = json.loads(shown)["data"]["object"]
    assert kept["requirements"] == ACCOUNT["requirements"]
    assert kept["business_profile"] == {"name": REDACTED, "mcc": "5942", "support_phone": None}
    bank = kept["external_accounts"]["data"][0]
    assert (bank["id"], bank["bank_name"], bank["country"], bank["status"]) == (
        *("ba_1", "STRIPE TEST BANK"),
        *("US", "new"),
    )


def test_a_payout_is_shown_whole() -> None:
    payout = {
        "id": "po_1",
        "object": "payout",
        "amount": 1100,
        "currency": "eur",
        "destination": "ba_1",
        "failure_code": "account_closed",
        "failure_message": "The bank account has been closed.",
        "metadata": {"leg": "12"},
        "trace_id": {"status": "supported", "value": "T1"},
        "status": "failed",
    }
    assert redacted(payout) == payout


def test_what_is_no_json_is_not_shown_at_all() -> None:
    assert redact_payload(b"\xffJane Austen") == '"12 bytes that are no JSON"'
    assert redact_payload(b"[" * 100_000) == '"100000 bytes that are no JSON"'


@pytest.mark.parametrize("name", sorted(SENSITIVE))
def test_each_field_of_the_list_is_hidden_at_any_depth(name: str) -> None:
    assert redacted({"a": [{name: {"deep": "said"}}]}) == {"a": [{name: REDACTED}]}


@pytest.mark.parametrize("style", ["json", "console"])
def test_an_object_that_comes_to_be_logged_loses_these_fields(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", style)
    get_logger().info("partner.seen", account="acct_1", email="jane@example.com", seen=ACCOUNT, name="folder")
    line = capsys.readouterr().out
    assert [word for word in SECRETS if word in line] == []
    assert "acct_1" in line
    assert "folder" in line
