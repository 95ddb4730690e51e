"""What Stripe's objects say of people and their banks, taken out of what is shown and logged. Pure.

The list is closed: fields by name, wherever they stand, from Stripe's reference of the objects that this
service is told about (account, person, bank account, card, address; https://docs.stripe.com/api). Ids,
amounts, states, `failure_code`, `failure_message`, `bank_name`, `country`, `currency`, `trace_id`,
`description` and `metadata` stay: what went wrong cannot be understood without them. The last two the
platform wrote itself.
"""

import json
from collections.abc import Mapping
from typing import Any

REDACTED = "***"

SENSITIVE = frozenset(
    {
        # bank accounts and cards
        *(
            "account_holder_name",
            "account_number",
            "routing_number",
            "sort_code",
            "iban",
            "bic",
            "swift_code",
        ),
        *("bsb_number", "clabe", "institution_number", "transit_number", "branch_code", "last4"),
        *("dynamic_last4", "number", "cvc", "exp_month", "exp_year", "iin", "fingerprint"),
        # people and companies
        *(
            "name",
            "name_kana",
            "name_kanji",
            "first_name",
            "first_name_kana",
            "first_name_kanji",
            "last_name",
        ),
        *("last_name_kana", "last_name_kanji", "maiden_name", "full_name_aliases", "given_name", "surname"),
        *("display_name", "email", "support_email", "contact_email", "receipt_email", "phone"),
        *("support_phone", "contact_phone", "dob", "date_of_birth", "gender", "nationality"),
        *("political_exposure", "ip", "ip_address", "user_agent"),
        # addresses
        *("address", "address_kana", "address_kanji", "registered_address", "support_address", "line1"),
        *("line2", "postal_code", "city", "town", "address_line1", "address_line2", "address_city"),
        *("address_zip", "address_state"),
        # numbers of authorities, and documents
        *("id_number", "id_number_secondary", "id_numbers", "ssn_last_4", "tax_id", "vat_id"),
        *("registration_number", "export_license_id", "document", "additional_document"),
        # what lets somebody in
        *(
            "token",
            "account_token",
            "person_token",
            "access_token",
            "refresh_token",
            "client_secret",
            "secret",
        ),
        *("api_key", "password", "authorization"),
    }
)


def redacted(value: Any) -> Any:
    """A copy of JSON-like `value` with the sensitive fields' values replaced; absent ones stay None."""
    if isinstance(value, Mapping):
        return {name: _field(name, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return value


def redact_payload(payload: bytes) -> str:
    """An event's payload as JSON text, redacted. What is no JSON is not shown at all."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return json.dumps(f"{len(payload)} bytes that are no JSON")
    return json.dumps(redacted(value), ensure_ascii=False)


def _field(name: Any, item: Any) -> Any:
    if name in SENSITIVE and item not in (None, "", [], {}):
        return REDACTED
    return redacted(item)
