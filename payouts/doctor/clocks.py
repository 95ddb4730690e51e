"""Clocks: those of the database, of Redis and of Stripe against ours."""

from payouts.clock import CLOCKS_AGREE_MS, ClockReading
from payouts.doctor.finding import Check, Finding, bad, for_people, ok, warning

WARN_MS = CLOCKS_AGREE_MS
BAD_MS = 60_000
"""A signature is refused from 300 s on: by then something is lost, so it is bad well before."""

_NAMES = {
    Check.CLOCK_DATABASE: "the database's",
    Check.CLOCK_REDIS: "Redis's",
    Check.CLOCK_STRIPE: "Stripe's",
}


def judge_clock(check: Check, reading: ClockReading) -> Finding:
    """A finding on one clock. `check`: whose it is."""
    whose, skew_ms = _NAMES[check], reading.ahead_ms
    if abs(skew_ms) <= WARN_MS:
        within = for_people(reading.answered_at_ms - reading.asked_at_ms)
        return ok(check, f"{whose} clock agrees with ours (asked within {within})")
    side = "ahead of" if skew_ms > 0 else "behind"
    text = f"{whose} clock is {for_people(abs(skew_ms))} {side} ours"
    remedy = (
        "set this machine's clock by NTP (chrony, systemd-timesyncd): Stripe's own does not drift"
        if check == Check.CLOCK_STRIPE
        else "set both machines' clocks by NTP (chrony, systemd-timesyncd)"
    )
    judge = bad if abs(skew_ms) > BAD_MS else warning
    return judge(check, text, remedy)
