"""The shapes of Stripe's objects, each with every field that the API gives it."""

from collections.abc import Mapping
from typing import Any

from sandbox.shared import Json

TEST_BANK = "STRIPE TEST BANK"


def listed(data: list[Json], url: str, has_more: bool = False) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def requirements(due: list[str] | None = None, disabled_reason: str | None = None) -> Json:
    due = due or []
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": due,
        "disabled_reason": disabled_reason,
        "errors": [],
        "eventually_due": list(due),
        "past_due": [],
        "pending_verification": [],
    }


def account(id_: str, created: int, kind: str, country: str, currency: str, email: str | None) -> Json:
    return {
        "id": id_,
        "object": "account",
        "business_profile": {
            "annual_revenue": {"amount": None, "currency": None, "fiscal_year_end": None},
            "estimated_worker_count": None,
            "mcc": None,
            "minority_owned_business_designation": None,
            "name": None,
            "product_description": None,
            "support_address": _address(),
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": None,
        "capabilities": {},
        "charges_enabled": False,
        "controller": {"type": "application" if kind != "standard" else "account"},
        "country": country,
        "created": created,
        "default_currency": currency,
        "details_submitted": False,
        "email": email,
        "external_accounts": listed([], f"/v1/accounts/{id_}/external_accounts"),
        "future_requirements": requirements(),
        "metadata": {},
        "payouts_enabled": False,
        "requirements": requirements(),
        "settings": _account_settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind,
    }


def _address() -> Json:
    return {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}


def _account_settings() -> Json:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": False,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }


def bank_account(id_: str, account_id: str, details: Mapping[str, str], fingerprint: str) -> Json:
    return {
        "id": id_,
        "object": "bank_account",
        "account": account_id,
        "account_holder_name": details.get("account_holder_name"),
        "account_holder_type": details.get("account_holder_type"),
        "account_type": details.get("account_type"),
        "available_payout_methods": ["standard"],
        "bank_name": TEST_BANK,
        "country": details["country"],
        "currency": details["currency"],
        "customer": None,
        "default_for_currency": False,
        "fingerprint": fingerprint,
        "last4": details["last4"],
        "metadata": {},
        "routing_number": details.get("routing_number"),
        "status": "new",
    }


def capability(name: str, account_id: str, requested_at: int) -> Json:
    return {
        "id": name,
        "object": "capability",
        "account": account_id,
        "future_requirements": requirements(),
        "requested": True,
        "requested_at": requested_at,
        "requirements": requirements(),
        "status": "inactive",
    }


def balance(purses: dict[str, list[int]], is_platform: bool) -> Json:
    """`purses`: by currency, available and pending in minor units."""
    thing: Json = {"object": "balance", "available": [], "livemode": False, "pending": []}
    for currency, (available_minor, pending_minor) in sorted(purses.items()):
        for name, amount_minor in (("available", available_minor), ("pending", pending_minor)):
            thing[name].append(
                {"amount": amount_minor, "currency": currency, "source_types": {"card": amount_minor}}
            )
    thing["connect_reserved"] = [{"amount": 0, "currency": each["currency"]} for each in thing["available"]]
    if not is_platform:
        del thing["connect_reserved"]
    return thing


def balance_transaction(id_: str, created: int, **fields: Any) -> Json:
    """`fields`: amount, available_on, currency, description, reporting_category, source, status, type."""
    return {
        "id": id_,
        "object": "balance_transaction",
        "balance_type": "payments",
        "created": created,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": fields["amount"],
        **fields,
    }


def transfer(id_: str, created: int, **fields: Any) -> Json:
    """`fields`: amount, balance_transaction, currency, description, destination, destination_payment,
    metadata, source_transaction, source_type, transfer_group."""
    return {
        "id": id_,
        "object": "transfer",
        "amount_reversed": 0,
        "created": created,
        "livemode": False,
        "reversals": listed([], f"/v1/transfers/{id_}/reversals"),
        "reversed": False,
        **fields,
    }


def transfer_reversal(id_: str, created: int, **fields: Any) -> Json:
    """`fields`: amount, balance_transaction, currency, destination_payment_refund, metadata, transfer."""
    return {"id": id_, "object": "transfer_reversal", "created": created, "source_refund": None, **fields}


def payout(id_: str, created: int, **fields: Any) -> Json:
    """`fields`: amount, arrival_date, automatic, balance_transaction, currency, description, destination,
    metadata, method, original_payout, reconciliation_status, source_type, statement_descriptor."""
    return {
        "id": id_,
        "object": "payout",
        "application_fee": None,
        "application_fee_amount": None,
        "created": created,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "payout_method": None,
        "reversed_by": None,
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
        **fields,
    }


def webhook_endpoint(id_: str, created: int, **fields: Any) -> Json:
    """`fields`: api_version, application, description, enabled_events, metadata, url."""
    return {
        "id": id_,
        "object": "webhook_endpoint",
        "created": created,
        "livemode": False,
        "status": "enabled",
        **fields,
    }
