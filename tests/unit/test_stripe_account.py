"""What Stripe's account object says of a partner, whatever kind of account it is."""

import json
from typing import Any

import pytest

from payouts.errors import PayloadError
from payouts.partner import PartnerState
from payouts.stripe_account import facts_of, read_account


def bank(number: int = 1, currency: str = "eur", **more: Any) -> dict[str, Any]:
    return {
        "id": f"ba_{number}",
        "object": "bank_account",
        "currency": currency,
        "default_for_currency": True,
        "status": "new",
        "fingerprint": f"print{number}",
        "last4": f"000{number}",
        "bank_name": "TESTBANK",
        **more,
    }


def account(*banks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "acct_1",
        "object": "account",
        "payouts_enabled": True,
        "capabilities": {"transfers": "active", "card_payments": "inactive"},
        "requirements": {"currently_due": [], "past_due": [], "disabled_reason": None},
        "external_accounts": {"object": "list", "data": list(banks), "has_more": False},
        "settings": {"payouts": {"schedule": {"interval": "manual"}}},
        **more,
    }


def facts(body: dict[str, Any], currency: str = "eur") -> dict[str, Any]:
    return facts_of(read_account(json.dumps(body).encode()), currency)


def test_an_account_that_can_be_paid_is_ready_and_its_bank_account_recognisable() -> None:
    found = facts(account(bank()))
    assert found["state"] == PartnerState.READY
    assert found["state_reason"] is None
    assert found["manual_schedule"] is True
    assert (found["bank_account"], found["bank_fingerprint"]) == ("ba_1", "print1")
    assert "TESTBANK" in found["bank_label"]
    assert "0001" in found["bank_label"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"payouts_enabled": False, "requirements": {"disabled_reason": "rejected.fraud"}}, "rejected.fraud"),
        ({"payouts_enabled": False, "requirements": None}, "off at Stripe"),
        ({"capabilities": {"transfers": "pending"}}, "transfers are pending"),
        ({"external_accounts": {"data": []}}, "no bank account for EUR"),
        ({"external_accounts": {"data": [bank(status="errored")]}}, "is errored"),
        ({"external_accounts": {"data": [bank(status="verification_failed")]}}, "verification_failed"),
    ],
)
def test_what_keeps_an_account_from_being_paid_is_said(change: dict[str, Any], said: str) -> None:
    found = facts({**account(bank()), **change})
    assert found["state"] == PartnerState.RESTRICTED
    assert said in found["state_reason"]


def test_the_default_bank_account_of_the_partners_own_currency_counts() -> None:
    banks = (
        bank(1, "usd"),
        bank(2, default_for_currency=False),
        bank(3),
        bank(4, "gbp"),
    )
    assert facts(account(*banks))["bank_account"] == "ba_3"
    assert facts(account(*banks), "usd")["bank_account"] == "ba_1"
    assert facts(account(*banks[:2]))["bank_account"] == "ba_2"


def test_an_account_that_says_little_is_read_and_nothing_is_made_up() -> None:
    found = facts({"id": "acct_1", "object": "account"})
    assert found["state"] == PartnerState.READY
    assert found["payouts_enabled"] is found["manual_schedule"] is found["transfers_capability"] is None
    assert "bank_account" not in found, "it does not show its bank accounts: what is known stays"


def test_a_bank_account_that_may_be_further_down_the_list_is_not_taken_for_removed() -> None:
    body = account()
    body["external_accounts"] = {"data": [bank(1, "usd")], "has_more": True}
    assert "bank_account" not in facts(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":1}', b'{"id":"x","object":"payout"}', b"\xff"])
def test_what_is_no_account_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(PayloadError):
        read_account(body)
