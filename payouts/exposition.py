"""What a process counts and how it is, in Prometheus' words. Nothing here asks a dependency."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from payouts import meters
from payouts.meters import ABOVE, BATCH_BOUNDS, BOUNDS_MS, WAITED_BOUNDS_MS, Key, Meters, Totals
from payouts.metric_names import METRICS
from payouts.pulse import Pulse
from payouts.states import EventStatus, PayoutStatus

Values = Callable[[], Mapping[Any, float]]
"""The values of a gauge now, by a tuple of those of its labels."""
Render = Callable[[], bytes]
"""Everything that a process exposes, in Prometheus' text format."""

_COUNTERS = {
    meters.DELIVERIES: "payouts_deliveries_total",
    meters.SIGNATURES: "payouts_signatures_rejected_total",
    meters.ANSWERS: "payouts_http_requests_total",
    meters.LIMITED: "payouts_rate_limit_hits_total",
    meters.EVENTS: "payouts_events_total",
    meters.MOVES: "payouts_payout_moves_total",
    meters.STRIPE_CALLS: "payouts_stripe_calls_total",
    meters.ERRORS: "payouts_errors_total",
    meters.LIMITS: "payouts_rate_limit_refusals_total",
    meters.BLOCKED: "payouts_blocked_requests_total",
    meters.AUTH_FAILURES: "payouts_auth_failures_total",
}
_LOOKED_AT = (EventStatus.APPLIED, EventStatus.IGNORED, EventStatus.DEFERRED, EventStatus.RETRYING)
_OUTCOMES = ("answered", "refused", "limited", "failed")
_ZEROS: Mapping[str, Sequence[Key]] = {
    meters.EVENTS: [(meters.EVENTS, status) for status in (*_LOOKED_AT, EventStatus.DEAD)],
    meters.MOVES: [(meters.MOVES, status) for status in PayoutStatus],
    meters.STRIPE_CALLS: [(meters.STRIPE_CALLS, kind, n) for kind in ("read", "write") for n in _OUTCOMES],
}
"""What is shown as 0 before it was counted first. A series that begins with its first count has no increase
by it, so the first dead event would raise no alarm."""
_SPREADS: Sequence[tuple[str, str, str, Sequence[int], int]] = (
    ("payouts_http_request_seconds", meters.TOOK, meters.TOOK_MS, BOUNDS_MS, 1000),
    ("payouts_batch_events", meters.BATCHES, meters.BATCH_EVENTS, BATCH_BOUNDS, 1),
    ("payouts_pick_up_seconds", meters.PICKED_UP, meters.PICKED_UP_MS, WAITED_BOUNDS_MS, 1000),
)


def render_of(collectors: Iterable[Collector]) -> Render:
    """What answers with all that these collect, and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    return lambda: generate_latest(registry)


def exposed(pulse: Pulse, gauges: Mapping[str, Values], *more: Collector) -> Render:
    """What a process exposes: what its pulse tells, `gauges` by name, and `more`."""
    return render_of([Counted(pulse.meters), Alive(pulse), _Gauges(gauges), *more])


class Counted(Collector):
    """Meters. Which families a process has, its meters say."""

    def __init__(self, counted: Meters) -> None:
        self._counted = counted

    def collect(self) -> Iterable[Metric]:
        totals = self._counted.everything()
        for family, name in _COUNTERS.items():
            found = {key: 0 for key in _ZEROS.get(family, ()) if self._counts(family)} | _of(totals, family)
            if found:
                counter = CounterMetricFamily(name, METRICS[name].text, labels=METRICS[name].labels)
                for key, count in found.items():
                    counter.add_metric([str(each) for each in key[1:]], count)
                yield counter
        if self._counts(meters.STRIPE_CALLS):
            name = "payouts_stripe_call_seconds_total"
            yield CounterMetricFamily(name, METRICS[name].text, totals.get((meters.STRIPE_MS,), 0) / 1000)
        for name, counts, sums, bounds, unit in _SPREADS:
            summed = _of(totals, sums)
            if summed:
                spread = HistogramMetricFamily(name, METRICS[name].text, labels=METRICS[name].labels)
                for key, total in summed.items():
                    buckets = list(_buckets(totals, (counts, *key[1:]), bounds, unit))
                    spread.add_metric(list(key[1:]), buckets, total / unit)
                yield spread

    def _counts(self, family: str) -> bool:
        return family in self._counted.families


class Alive(Collector):
    """How the process is: as its pulse tells others."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def collect(self) -> Iterable[Metric]:
        state = self._pulse.state()
        yield gauge("payouts_process_info", {(self._pulse.role, state.version): 1})
        yield gauge("payouts_process_start_time_seconds", {(): state.started_at_ms / 1000})
        if state.resident_bytes is not None:
            yield gauge("payouts_resident_memory_bytes", {(): state.resident_bytes})
        if state.used_bytes is not None and state.limit_bytes:
            yield gauge("payouts_memory_used_bytes", {(state.place,): state.used_bytes})
            yield gauge("payouts_memory_limit_bytes", {(state.place,): state.limit_bytes})
        connections: dict[str, int | None] = {
            "used": state.connections_used,
            "open": state.connections_open,
            "most": state.connections_most,
        }
        known = {(name,): count for name, count in connections.items() if count is not None}
        if known:
            yield gauge("payouts_pool_connections", known)


class _Gauges(Collector):
    def __init__(self, gauges: Mapping[str, Values]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        return [gauge(name, values()) for name, values in self._gauges.items()]


def gauge(name: str, values: Mapping[Any, float]) -> Metric:
    """A gauge of the catalogue, with its values by a tuple of those of its labels."""
    metric = METRICS[name]
    family = GaugeMetricFamily(name, metric.text, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric([str(label) for label in labels], value)
    return family


def _of(totals: Totals, family: str) -> dict[Key, int]:
    return {key: count for key, count in totals.items() if key[0] == family}


def _buckets(totals: Totals, key: Key, bounds: Sequence[int], unit: int) -> Iterator[tuple[str, float]]:
    # Prometheus wants in each bucket what was at most its bound, thus all below it as well.
    below = 0
    for bound in bounds:
        below += totals.get((*key, str(bound)), 0)
        yield f"{bound / unit:g}", below
    yield "+Inf", below + totals.get((*key, ABOVE), 0)
