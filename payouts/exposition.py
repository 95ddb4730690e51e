"""The meters in Prometheus' words: base units, `_total`, labels of few values."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from payouts import meters
from payouts.meters import ABOVE, BOUNDS_MS, Key, Meters

_COUNTERS = {
    meters.DELIVERIES: ("payouts_deliveries", "Deliveries that the receiver answered.", ["outcome"]),
    meters.EVENTS: ("payouts_events", "What came of events that workers looked at.", ["outcome"]),
    meters.ANSWERS: ("payouts_http_requests", "HTTP requests that were answered.", ["role", "code"]),
    meters.LIMITED: ("payouts_rate_limit_hits", "HTTP requests that were answered 429.", ["role"]),
    meters.LIMITS: (
        "payouts_rate_limit_refusals",
        "Requests that went over a rate limit.",
        ["role", "limit"],
    ),
    meters.BLOCKED: ("payouts_blocked_requests", "Requests from blocked addresses.", ["role"]),
    meters.STRIPE_CALLS: ("payouts_stripe_calls", "Calls to Stripe.", ["kind", "outcome"]),
}
_STRIPE_SECONDS = ("payouts_stripe_call_seconds", "The time that calls to Stripe took, in all.")
_SECONDS = ("payouts_http_request_seconds", "The time from a request's header to the end of its answer.")


def registry_of(counted: Meters) -> CollectorRegistry:
    """A registry that holds these meters and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counted(counted))
    return registry


class _Counted(Collector):
    def __init__(self, counted: Meters) -> None:
        self._counted = counted

    def collect(self) -> Iterable[Metric]:
        totals = self._counted.totals()
        for family, (name, text, labels) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=labels)
            for key, count in _of(totals, family):
                counter.add_metric(list(key[1:]), count)
            yield counter
        yield CounterMetricFamily(*_STRIPE_SECONDS, value=totals.get((meters.STRIPE_MS,), 0) / 1000)
        seconds = HistogramMetricFamily(*_SECONDS, labels=["role"])
        for (_, role), took_ms in _of(totals, meters.TOOK_MS):
            seconds.add_metric([role], list(_buckets(totals, role)), took_ms / 1000)
        yield seconds


def _of(totals: dict[Key, int], family: str) -> list[tuple[Key, int]]:
    return [(key, count) for key, count in totals.items() if key[0] == family]


def _buckets(totals: dict[Key, int], role: str) -> Iterator[tuple[str, float]]:
    # Prometheus wants in each bucket what was at most its bound, thus all below it as well.
    below = 0
    for bound in (*BOUNDS_MS, ABOVE):
        below += totals.get((meters.TOOK, role, str(bound)), 0)
        yield ("+Inf" if isinstance(bound, str) else str(bound / 1000)), below
