"""Why a payout did not reach the bank and what its partner can do, in plain words. Pure.

The codes are Stripe's ("Payout failures" in its documentation); what they ask for is judged in
`payouts.failures`.
"""

from dataclasses import dataclass

from payouts.failures import FailureClass, classify

_WHY = {
    "account_closed": "the bank account has been closed",
    "account_frozen": "the bank account has been frozen",
    "bank_account_restricted": "the bank account does not take payments of this kind",
    "bank_ownership_changed": "the bank account now belongs to another bank",
    "could_not_process": "the bank could not process the payment",
    "debit_not_authorized": "the bank does not allow this kind of payment",
    "declined": "the bank declined the payment",
    "exceeds_amount_limit": "the amount is above a limit of the card",
    "exceeds_count_limit": "the card has reached the number of payments it can take for now",
    "expired_card": "the card has expired",
    "incorrect_account_holder_address": "the address of the account holder does not match",
    "incorrect_account_holder_details": "the details of the account holder do not match",
    "incorrect_account_holder_name": "the name of the account holder does not match",
    "incorrect_account_holder_tax_id": "the tax number of the account holder does not match",
    "incorrect_account_type": "the type of the bank account was given wrongly",
    "insufficient_funds": "the funds were not available in time",
    "invalid_account_number": "the account number is not valid",
    "invalid_account_number_length": "the account number has the wrong length",
    "invalid_card": "the card is not valid",
    "invalid_currency": "the bank account does not take this currency",
    "invalid_issuer": "the issuer of the card is not valid",
    "invalid_transaction": "the card's bank does not allow this kind of payment",
    "issuer_unavailable": "the issuer of the card could not be reached",
    "lost_or_stolen_card": "the card was reported as lost or stolen",
    "no_account": "the bank could not find the account",
    "refer_to_card_issuer": "the issuer of the card asks you to call them",
    "unsupported_card": "the card does not take payouts",
}
_CONTACT = frozenset({"declined", "refer_to_card_issuer", "debit_not_authorized"})


@dataclass(frozen=True, slots=True)
class Advice:
    """`why`: a clause to follow "because", empty where nobody knows. `steps`: what to do, in order."""

    why: str
    steps: tuple[str, ...]


def advice_on(code: str | None) -> Advice:
    """What a failure code means for the partner."""
    kind, why = classify(code), _WHY.get(code or "", "")
    if kind == FailureClass.NEW_DESTINATION:
        return Advice(
            why,
            (
                "Check your bank details in the portal, and correct them or add another bank account.",
                "You do not need to ask for the payout again: once the new details are checked, it is sent.",
            ),
        )
    if kind == FailureClass.LATER:
        return Advice(why, ("You do not need to do anything for now: we look after it and send it again.",))
    if code in _CONTACT:
        return Advice(
            why,
            (
                "Ask your bank why it did not take the payment, and whether it would take it now.",
                "Tell us what it says, or add another bank account in the portal.",
            ),
        )
    return Advice(
        why, ("You do not need to do anything for now: we find out what went wrong and write to you again.",)
    )
