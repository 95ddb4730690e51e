"""What a partner still lacks is said in words that help, and the rules for bank accounts are settings."""

import json

import pytest

from payouts.bootstrap import gate_rules
from payouts.errors import SettingsError
from payouts.partner import PartnerState
from payouts.readiness import HOUR_MS, GateRules, partner_stop, still_wanted
from payouts.settings import load_settings
from tests.support.requests import a_partner

NOW_MS = 1_795_000_000_000


@pytest.fixture(autouse=True)
def _addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////tmp/never.db")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    for name in ("BANK_COOLING_OFF_HOURS", "BANK_ACCOUNT_APPROVAL"):
        monkeypatch.delenv(name, raising=False)


def test_a_new_bank_account_waits_a_day_and_for_a_person_unless_settings_say_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert gate_rules(load_settings()) == GateRules(24 * HOUR_MS, bank_approval=True)
    monkeypatch.setenv("BANK_COOLING_OFF_HOURS", "1.5")
    monkeypatch.setenv("BANK_ACCOUNT_APPROVAL", "false")
    rules = gate_rules(load_settings())
    assert rules == GateRules(5_400_000, bank_approval=False)
    fresh = a_partner(bank_approved=None, bank_since_ms=NOW_MS - 5_400_000)
    assert partner_stop(fresh, rules, NOW_MS) is None


def test_a_negative_cooling_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_COOLING_OFF_HOURS", "-1")
    with pytest.raises(SettingsError, match="BANK_COOLING_OFF_HOURS"):
        load_settings()


def test_what_stripe_wants_is_named_once_each_and_not_without_end() -> None:
    asked = {
        "past_due": ["company.tax_id"],
        "currently_due": ["company.tax_id", *(f"person.{n}" for n in range(6))],
    }
    said = still_wanted(a_partner(requirements=json.dumps(asked)))
    assert said == "; Stripe still wants company.tax_id, person.0, person.1, person.2, person.3 and 2 more"


@pytest.mark.parametrize("kept", [None, "", "{}", "[]", "no JSON", '{"past_due": null}'])
def test_requirements_that_say_nothing_or_do_not_read_add_nothing(kept: str | None) -> None:
    partner = a_partner(requirements=kept, state=PartnerState.RESTRICTED, state_reason="Stripe paused it")
    stop = partner_stop(partner, GateRules(), NOW_MS)
    assert stop is not None
    assert stop.text == f"{partner.reference} is restricted: Stripe paused it"


def test_a_person_is_asked_before_anybody_waits_for_the_cooling_off() -> None:
    partner = a_partner(bank_approved=None, bank_since_ms=NOW_MS)
    stop = partner_stop(partner, GateRules(), NOW_MS)
    assert stop is not None
    assert (stop.code, stop.until_ms) == ("bank_unapproved", None)


def test_a_bank_account_that_stripe_keeps_to_itself_is_stripes_to_check() -> None:
    hidden = a_partner(bank_account=None, bank_approved=None, bank_since_ms=None, manual_schedule=False)
    assert partner_stop(hidden, GateRules(), NOW_MS) is None
    missing = a_partner(bank_account=None, bank_approved=None, bank_since_ms=None, manual_schedule=True)
    stop = partner_stop(missing, GateRules(), NOW_MS)
    assert stop is not None
    assert stop.code == "partner_not_ready"
