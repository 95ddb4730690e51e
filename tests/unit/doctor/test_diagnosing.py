"""Whatever one examination does, the others' findings come, in their order and in time."""

import threading
import time

import pytest

from payouts.doctor.diagnosing import Examination, diagnose
from payouts.doctor.finding import Check, Finding, Level, exit_code, for_people, ok, unknown
from payouts.errors import GatewayError

HOUR_MS = 3_600_000


def fine(check: Check, after_s: float = 0.0) -> Examination:
    def look() -> list[Finding]:
        time.sleep(after_s)
        return [ok(check, "fine")]

    return Examination(check, look, "nothing to do")


def test_findings_come_in_the_order_of_the_examinations_however_long_each_takes() -> None:
    found = list(diagnose([fine(Check.REDIS, 0.2), fine(Check.DATABASE), fine(Check.EVENTS, 0.1)]))
    assert [each.check for each in found] == [Check.REDIS, Check.DATABASE, Check.EVENTS]


def test_one_that_fails_is_unknown_with_what_to_do_and_hides_no_other() -> None:
    def refuse() -> list[Finding]:
        raise GatewayError("Stripe said 401", transient=True)

    failing = Examination(Check.ENDPOINTS, refuse, "check STRIPE_API_KEY")
    assert list(diagnose([failing, fine(Check.REDIS)])) == [
        unknown(Check.ENDPOINTS, "Stripe said 401", "check STRIPE_API_KEY"),
        ok(Check.REDIS, "fine"),
    ]


def test_an_error_shows_no_secret_and_takes_one_line() -> None:
    def fail() -> list[Finding]:
        raise RuntimeError("whsec_abcdefgh\nmysql://root:hunter2@host/db " + "long " * 200)

    (found,) = diagnose([Examination(Check.DATABASE, fail, "look")])
    assert found.level == Level.UNKNOWN
    assert "RuntimeError" in found.text
    assert "abcdefgh" not in found.text
    assert "hunter2" not in found.text
    assert "\n" not in found.text
    assert len(found.text) <= 300


def test_those_that_hang_are_given_up_side_by_side() -> None:
    never = threading.Event()

    def hang() -> list[Finding]:
        never.wait(30)
        return []

    hanging = [Examination(check, hang, "look", within_s=0.3) for check in (Check.REDIS, Check.QUEUES)]
    began = time.monotonic()
    found = list(diagnose([*hanging, fine(Check.DATABASE)]))
    took_s = time.monotonic() - began
    never.set()
    assert [each.level for each in found] == [Level.UNKNOWN, Level.UNKNOWN, Level.OK]
    assert "no answer within" in found[0].text
    assert took_s < 3


@pytest.mark.parametrize(
    ("levels", "code", "strict_code"),
    [
        ([], 0, 0),
        ([Level.OK], 0, 0),
        ([Level.OK, Level.WARNING], 0, 1),
        ([Level.OK, Level.UNKNOWN], 2, 2),
        ([Level.WARNING, Level.UNKNOWN], 2, 1),
        ([Level.BAD, Level.UNKNOWN], 1, 1),
    ],
)
def test_a_script_is_told_the_worst(levels: list[Level], code: int, strict_code: int) -> None:
    found = [Finding(Check.REDIS, level, "", "do") for level in levels]
    assert exit_code(found) == code
    assert exit_code(found, strict=True) == strict_code


@pytest.mark.parametrize(
    ("age_ms", "said"),
    [
        (40, "0.0 s"),
        (2_400, "2.4 s"),
        (40_000, "40 s"),
        (12 * 60_000, "12 min"),
        (5 * HOUR_MS, "5 h"),
        (72 * HOUR_MS, "3 days"),
    ],
)
def test_spans_of_time_are_said_as_people_say_them(age_ms: int, said: str) -> None:
    assert for_people(age_ms) == said
