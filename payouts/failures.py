"""Why payouts fail, by Stripe's failure codes, and what each kind needs.

The codes are Stripe's ("Payout failures" in its documentation); the classes are this service's judgement.
A code that is not listed here needs a person, and is reported.
"""

from enum import StrEnum


class FailureClass(StrEnum):
    """What has to happen before the money can be sent again."""

    NEW_DESTINATION = "new_destination"
    """The partner must give another bank account or card."""
    PERSON = "person"
    """Somebody must find out and decide."""
    LATER = "later"
    """The same destination may work again, once it is usable."""


_CODES: dict[FailureClass, tuple[str, ...]] = {
    FailureClass.NEW_DESTINATION: (
        *("account_closed", "no_account", "account_frozen", "bank_account_restricted"),
        *("bank_ownership_changed", "invalid_account_number", "invalid_account_number_length"),
        *("incorrect_account_type", "incorrect_account_holder_name", "incorrect_account_holder_address"),
        *("incorrect_account_holder_tax_id", "incorrect_account_holder_details", "invalid_currency"),
        *("invalid_card", "expired_card", "unsupported_card", "lost_or_stolen_card", "invalid_issuer"),
        "invalid_transaction",
    ),
    FailureClass.PERSON: ("declined", "refer_to_card_issuer", "could_not_process", "debit_not_authorized"),
    FailureClass.LATER: (
        *("issuer_unavailable", "exceeds_amount_limit", "exceeds_count_limit", "insufficient_funds"),
    ),
}
_BY_CODE = {code: kind for kind, codes in _CODES.items() for code in codes}


def classify(code: str | None) -> FailureClass:
    """What a failure code asks for; unknown codes and none at all ask for a person."""
    return _BY_CODE.get(code or "", FailureClass.PERSON)


def is_known(code: str) -> bool:
    """Whether the code is one that this service has a rule for."""
    return code in _BY_CODE
