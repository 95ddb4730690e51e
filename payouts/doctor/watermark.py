"""The watermark: up to when have we heard from Stripe?

How far catch-up has come belongs here as well, as a finding of its own.
"""

from payouts.doctor.finding import Check, Finding, for_people, ok, warning

QUIET_MS = 24 * 3_600_000
"""A platform that pays every day hears of something every day."""


def judge_received(last_ms: int | None, now_ms: int) -> list[Finding]:
    """One finding on the last event that a receiver took. `last_ms`: when; None: none yet."""
    check = Check.WATERMARK_RECEIVED
    remedy = "look at the endpoint's deliveries in Stripe's Dashboard, and at `endpoints` above"
    if last_ms is None:
        return [warning(check, "no event has come from Stripe yet", remedy)]
    text = f"the last event came {for_people(now_ms - last_ms)} ago"
    return [warning(check, text, remedy) if now_ms - last_ms > QUIET_MS else ok(check, text)]
