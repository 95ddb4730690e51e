"""The watermark: up to when have we heard from Stripe, by what it delivers and by what it lists?"""

from payouts.doctor.finding import Check, Finding, for_people, ok, warning

LATE_ROUNDS = 3
LISTED_MS = 30 * 24 * 3_600_000
"""What lies farther back Stripe lists no more."""
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


def judge_caught_up(oldest_s: int | None, every_ms: int, now_ms: int) -> list[Finding]:
    """One finding on how far catch-up has come. `oldest_s`: the watermark that lies the farthest back, None:
    nothing was walked yet; `every_ms`: how often each account is due, 0: only by command."""
    check = Check.WATERMARK_CAUGHT_UP
    remedy = "`payouts catch-up status` names the accounts and what Stripe said; `payouts catch-up` walks now"
    if oldest_s is None:
        text = "Stripe's lists of events were never walked"
        return [warning(check, text, "a scheduler and a worker walk them, or `payouts catch-up`")]
    age_ms = now_ms - oldest_s * 1000
    text = f"every account is walked up to {for_people(age_ms)} ago"
    late = age_ms > (LATE_ROUNDS * every_ms if every_ms else LISTED_MS)
    return [warning(check, text, remedy) if late else ok(check, text)]
