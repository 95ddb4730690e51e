"""A duplicate of Stripe's, another endpoint's copy and a resend by a person are told apart."""

from typing import Any

from payouts.redelivery import AGAIN_WITHIN_MS, Redelivery, redeliveries

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def row(after_ms: int, signed: str | None = "platform:aaaa1111", source: str = "webhook") -> dict[str, Any]:
    return {"received_at_ms": NOW_MS + after_ms, "secret": signed, "source": source}


def kinds(*again: dict[str, Any]) -> list[Redelivery]:
    return redeliveries(row(0), again, "webhook")


def test_what_comes_within_moments_is_a_duplicate() -> None:
    assert kinds(row(20), row(AGAIN_WITHIN_MS)) == [Redelivery.DUPLICATE, Redelivery.DUPLICATE]


def test_what_comes_long_after_the_acknowledgement_was_resent() -> None:
    assert kinds(row(AGAIN_WITHIN_MS + 1), row(14 * DAY_MS)) == [Redelivery.RESEND, Redelivery.RESEND]


def test_a_duplicate_of_a_resend_is_a_duplicate() -> None:
    assert kinds(row(DAY_MS), row(DAY_MS + 50)) == [Redelivery.RESEND, Redelivery.DUPLICATE]


def test_the_copy_of_the_other_endpoint_is_told_by_its_secret() -> None:
    found = kinds(row(10, "connect:bbbb2222"), row(20, "connect:bbbb2222"))
    assert found == [Redelivery.OTHER_ENDPOINT, Redelivery.DUPLICATE]


def test_a_rolled_secret_is_the_same_endpoint() -> None:
    assert kinds(row(DAY_MS, "platform:cccc3333")) == [Redelivery.RESEND]


def test_what_catch_up_had_found_before_is_delivered_late_and_then_again() -> None:
    found = redeliveries(row(0, None, "catch-up"), [row(DAY_MS), row(DAY_MS + 10)], "webhook")
    assert found == [Redelivery.LATE, Redelivery.DUPLICATE]
