"""What a partner's page in the terminal says in words."""

import pytest

from console.partners import wanted


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, None),
        ('{"disabled_reason":null,"past_due":[],"currently_due":[],"current_deadline":null}', "nothing"),
        (
            '{"past_due":["external_account"],"currently_due":["a.b","c"],"current_deadline":1790000000,'
            '"disabled_reason":"rejected.fraud"}',
            "past due: external_account; due now: a.b, c; until 2026-09-21 14:13:20Z; "
            "switched off at Stripe: rejected.fraud",
        ),
        ("of another form", "of another form"),
    ],
)
def test_what_stripe_wants_is_said_in_words(kept: str | None, said: str | None) -> None:
    assert wanted(kept) == said
