"""The page on the doctor names every check and level, and says truly from when on each is worth a line."""

import re
from pathlib import Path

from payouts.doctor import ages, clocks, diagnosing, examining, processes, redis_server
from payouts.doctor.finding import Check, Level
from payouts.storage.age_queries import NEWEST
from payouts.storage.presence import EVERY_S

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "doctor.md").read_text()


def test_every_check_and_level_is_on_the_page_and_no_other() -> None:
    assert [check for check in Check if f"`{check}`" not in PAGE] == []
    assert [level for level in Level if f"| `{level}` |" not in PAGE] == []
    rows = re.findall(r"^\| `([a-z.]+)` \|", PAGE, re.M)
    assert set(rows) - set(Level) - set(Check) == set()


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    minute_ms, hour_ms = 60_000, 3_600_000
    assert (minute_ms, 10 * minute_ms) == (ages.RECEIVED_WARN_MS, ages.RECEIVED_BAD_MS)
    assert (5 * minute_ms, hour_ms) == (ages.OVERDUE_WARN_MS, ages.OVERDUE_BAD_MS)
    assert sorted(ages.OPEN_WARN_MS.values()) == [hour_ms, 24 * hour_ms]
    assert (2_000, minute_ms) == (clocks.WARN_MS, clocks.BAD_MS)
    assert 5 * minute_ms == redis_server.DRAINED_WITHIN_MS
    assert (EVERY_S, processes.SEEN_WITHIN_MS) == (3, 30_000)
    assert f"in {diagnosing.WITHIN_S:.0f} seconds ({examining.STRIPE_WITHIN_S:.0f} for Stripe)" in PAGE
    assert f"{NEWEST:,} newest events" in PAGE
