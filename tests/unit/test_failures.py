"""What each of Stripe's failure codes asks for."""

import pytest

from payouts.failures import FailureClass, classify, is_known


@pytest.mark.parametrize(
    ("expected", "codes"),
    [
        (
            FailureClass.NEW_DESTINATION,
            "account_closed no_account account_frozen bank_account_restricted bank_ownership_changed "
            "invalid_account_number invalid_account_number_length incorrect_account_type "
            "incorrect_account_holder_name incorrect_account_holder_address incorrect_account_holder_tax_id "
            "incorrect_account_holder_details invalid_currency invalid_card expired_card unsupported_card "
            "lost_or_stolen_card invalid_issuer invalid_transaction",
        ),
        (FailureClass.PERSON, "declined refer_to_card_issuer could_not_process debit_not_authorized"),
        (
            FailureClass.LATER,
            "issuer_unavailable exceeds_amount_limit exceeds_count_limit insufficient_funds",
        ),
    ],
)
def test_each_known_code_has_its_class(expected: FailureClass, codes: str) -> None:
    assert {classify(code) for code in codes.split()} == {expected}
    assert all(is_known(code) for code in codes.split())


@pytest.mark.parametrize("code", [None, "", "brand_new", "ACCOUNT_CLOSED"])
def test_an_unknown_code_asks_for_a_person(code: str | None) -> None:
    assert classify(code) == FailureClass.PERSON
    assert not is_known(code or "")
