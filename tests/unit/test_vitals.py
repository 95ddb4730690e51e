"""The vital signs: each by its own denominator, each at the levels of the runbook, exact at their bounds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.meters import ABOVE, TOOK, HttpMeter
from payouts.vitals import BOUNDS, Answers, Level, Sign, Used, Vital, judge, percentile_ms, worst

NORMAL, WARNING, CRITICAL, UNKNOWN = Level.NORMAL, Level.WARNING, Level.CRITICAL, Level.UNKNOWN


def signs(
    answers: dict[str, Answers] | None = None,
    connections: list[Used] | None = None,
    memory: list[Used] | None = None,
) -> dict[Vital, Sign]:
    return {sign.vital: sign for sign in judge(answers or {}, connections or [], memory or [])}


def answered(requests: int, errors: int = 0, limited: int = 0, took_ms: float = 5) -> Answers:
    return Answers(requests, errors, limited, {took_ms: requests})


@pytest.mark.parametrize(
    ("vital", "normal", "warning_from", "warning_to", "critical"),
    [
        # The portal's runbook, "Key Metrics to Watch".
        (Vital.ERROR_RATE, 0.00099, 0.001, 0.01, 0.0101),
        (Vital.P95_LATENCY, 199.9, 200, 500, 500.1),
        (Vital.DATABASE_CONNECTIONS, 0.499, 0.5, 0.8, 0.801),
        (Vital.MEMORY, 0.699, 0.7, 0.85, 0.851),
        (Vital.RATE_LIMIT_HITS, 0.0499, 0.05, 0.15, 0.151),
    ],
)
def test_levels_are_those_of_the_runbook(
    vital: Vital, normal: float, warning_from: float, warning_to: float, critical: float
) -> None:
    level = BOUNDS[vital].level
    assert [level(normal), level(warning_from), level(warning_to), level(critical)] == [
        *(NORMAL, WARNING, WARNING, CRITICAL)
    ]


def test_shares_of_whole_requests_are_exact_at_the_bounds() -> None:
    def level(errors: int, requests: int) -> Level:
        return signs({"api": answered(requests, errors)})[Vital.ERROR_RATE].level

    assert [level(0, 10), level(1, 1_001), level(1, 1_000)] == [NORMAL, NORMAL, WARNING]
    assert [level(7, 700), level(7, 699)] == [WARNING, CRITICAL]


def test_a_busy_receiver_does_not_hide_an_api_that_fails() -> None:
    found = signs({"receiver": answered(1_000_000), "api": answered(100, errors=5, limited=20, took_ms=600)})

    assert found[Vital.ERROR_RATE].level == CRITICAL
    assert found[Vital.P95_LATENCY].level == CRITICAL
    assert found[Vital.RATE_LIMIT_HITS].level == CRITICAL
    deciding = found[Vital.ERROR_RATE].worst
    assert deciding is not None
    assert (deciding.name, deciding.value, deciding.text) == ("api", 0.05, "5 of 100 requests")


def test_without_a_denominator_a_sign_is_unknown_and_no_alarm() -> None:
    found = signs({"receiver": answered(0), "api": answered(0)}, [Used("pools", 0, 0, "none")])

    assert {sign.level for sign in found.values()} == {UNKNOWN}
    assert worst(sign.level for sign in found.values()) == UNKNOWN
    assert worst([UNKNOWN, NORMAL]) == NORMAL
    assert worst([]) == UNKNOWN


def test_the_fullest_place_decides() -> None:
    places = [Used("a", 80, 100, "80 of 100"), Used("b", 9, 10, "9 of 10"), Used("c", 1, 10, "1 of 10")]
    found = signs(memory=places, connections=[Used("server", 3, 4, "3 of 4")])

    assert found[Vital.MEMORY].level == CRITICAL
    assert [part.name for part in found[Vital.MEMORY].parts if part is found[Vital.MEMORY].worst] == ["b"]
    assert found[Vital.DATABASE_CONNECTIONS].level == WARNING


def test_a_percentile_lies_inside_of_its_bucket() -> None:
    assert percentile_ms({}, 0.95) is None
    assert percentile_ms({200.0: 0, 250.0: 100}, 0.95) == pytest.approx(247.5)
    assert percentile_ms({100.0: 95, 5_000.0: 5}, 0.95) == pytest.approx(100)
    assert percentile_ms({100.0: 94, 500.0: 0, 5_000.0: 6}, 0.95) == pytest.approx(500 + 4_500 / 6)
    assert percentile_ms({10_000.0: 1, float("inf"): 99}, 0.95) == 10_000  # at least


@given(st.lists(st.integers(min_value=0, max_value=2_000), min_size=1, max_size=60))
def test_on_which_side_of_a_bound_the_percentile_lies_is_exact(took_ms: list[int]) -> None:
    meter = HttpMeter("api")
    for each_ms in took_ms:
        meter.answered(200, each_ms / 1000)
    took = {
        float("inf" if key[2] == ABOVE else key[2]): n for key, n in meter.totals().items() if key[0] == TOOK
    }

    p95_ms = percentile_ms(took, 0.95)

    assert p95_ms is not None
    for bound_ms in (200, 500):
        kept = sum(each_ms <= bound_ms for each_ms in took_ms)
        assert (p95_ms <= bound_ms) == (kept >= 0.95 * len(took_ms))


def test_the_page_has_the_levels_of_the_code() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "vitals.md").read_text()
    for vital, bounds in BOUNDS.items():
        unit, factor = (" ms", 1) if vital == Vital.P95_LATENCY else (" %", 100)
        first, second = (f"{value * factor:g}{unit}" for value in (bounds.warning, bounds.critical))
        span = f"{first.removesuffix(unit)} – {second}"
        assert f"| `{vital}` | < {first} | {span} | > {second} |" in page
