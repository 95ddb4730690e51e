"""The metrics: each with its kind, its meaning, its labels and who has it. `docs/metrics.md` shows the same.

Names and units are as Prometheus wants them: base units in the name, `_total` on what only grows. Every label
has a small closed list of values; none is ever an id, an account or an address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

EACH = "each process"
HTTP = "receiver, api"
WEB = "receiver, api, console"
RECEIVER = "receiver"
WORKER = "worker"
SCHEDULER = "scheduler"


@dataclass(frozen=True, slots=True)
class Metric:
    """A family. `who`: the role whose processes expose it."""

    name: str
    """As it is in rules and panels, of a histogram without `_bucket`, `_sum` and `_count`."""
    kind: Kind
    text: str
    labels: Sequence[str] = ()
    who: str = EACH


def _by_name(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS = _by_name(
    # What a process counts.
    Metric(
        "payouts_deliveries_total",
        "counter",
        "Deliveries that were answered: `stored` and `other_mode` "
        "are acknowledged, `rejected` refused, `unavailable` left to be sent again.",
        ["outcome"],
        RECEIVER,
    ),
    Metric(
        "payouts_signatures_rejected_total",
        "counter",
        "Of those rejected, the ones whose signature did not verify. `sender`: stripe (an address that "
        "Stripe publishes), other.",
        ["sender"],
        RECEIVER,
    ),
    Metric(
        "payouts_http_requests_total",
        "counter",
        "HTTP requests that were answered, by class of status.",
        ["role", "code"],
        HTTP,
    ),
    Metric(
        "payouts_rate_limit_hits_total", "counter", "HTTP requests that were answered 429.", ["role"], WEB
    ),
    Metric(
        "payouts_rate_limit_refusals_total",
        "counter",
        "Requests that went over a rate limit.",
        ["role", "limit"],
        WEB,
    ),
    Metric("payouts_blocked_requests_total", "counter", "Requests from blocked addresses.", ["role"], WEB),
    Metric(
        "payouts_auth_failures_total",
        "counter",
        "Requests and sign-ins that let nobody in. `kind`: missing, unknown (a token), ended (a token), "
        "session, provider, refused, throttled.",
        ["role", "kind"],
        "api, console",
    ),
    Metric(
        "payouts_http_request_seconds",
        "histogram",
        "The time from a request's header to the end of its answer.",
        ["role"],
        HTTP,
    ),
    Metric(
        "payouts_events_total",
        "counter",
        "What came of events that a worker looked at; a replay counts as well.",
        ["outcome"],
        WORKER,
    ),
    Metric(
        "payouts_batch_events",
        "histogram",
        "Events in a batch: of one write of the receiver's, of one transaction of a worker's.",
        ["batch"],
        "receiver, worker",
    ),
    Metric(
        "payouts_pick_up_seconds",
        "histogram",
        "The time that an event lay in the inbox before a worker first looked at it.",
        (),
        WORKER,
    ),
    Metric(
        "payouts_payout_moves_total",
        "counter",
        "Changes of a payout's state, by the state that it came to.",
        ["to"],
        WORKER,
    ),
    Metric("payouts_stripe_calls_total", "counter", "Calls to Stripe.", ["kind", "outcome"], WORKER),
    Metric("payouts_stripe_call_seconds_total", "counter", "The time that they took, in all.", (), WORKER),
    Metric("payouts_errors_total", "counter", "Lines of level error that the process logged."),
    # How a process is.
    Metric("payouts_process_info", "gauge", "1; the labels say what runs.", ["role", "version"]),
    Metric("payouts_process_start_time_seconds", "gauge", "When it started, in seconds since 1970."),
    Metric("payouts_resident_memory_bytes", "gauge", "The memory that the process holds."),
    Metric(
        "payouts_memory_used_bytes",
        "gauge",
        "The memory in use in the place that it runs in, without files that are only cached.",
        ["place"],
    ),
    Metric(
        "payouts_memory_limit_bytes",
        "gauge",
        "What that place has: the limit of its control group, else the machine.",
        ["place"],
    ),
    Metric(
        "payouts_pool_connections",
        "gauge",
        "Connections to the database of the process: `used`, `open`, and `most` that it may open.",
        ["state"],
    ),
    Metric(
        "payouts_breaker_open",
        "gauge",
        "1 while the receiver leaves a store alone that failed.",
        ["store"],
        RECEIVER,
    ),
    # How the service is.
    Metric(
        "payouts_up",
        "gauge",
        "1 where the dependency answered the last look, 0 where it did not; then "
        "what it would tell is absent.",
        ["dependency"],
        SCHEDULER,
    ),
    Metric(
        "payouts_look_age_seconds",
        "gauge",
        "How old what is shown of the dependency is.",
        ["dependency"],
        SCHEDULER,
    ),
    Metric(
        "payouts_database_connections",
        "gauge",
        "Connections to the database: of the `server`, of the "
        "`user` where it limits that, of our `pools` where no server tells.",
        ["scope"],
        SCHEDULER,
    ),
    Metric("payouts_database_connections_limit", "gauge", "How many there may be.", ["scope"], SCHEDULER),
    Metric(
        "payouts_oldest_age_seconds",
        "gauge",
        "How long ago the oldest was made that is open: 0 where none is. `what`: events, requests, notices.",
        ["what", "status"],
        SCHEDULER,
    ),
    Metric(
        "payouts_overdue_seconds",
        "gauge",
        "How long ago the one that is due first was due: 0 where none is.",
        ["what", "status"],
        SCHEDULER,
    ),
    Metric(
        "payouts_dead",
        "gauge",
        "Events and notices that nothing tries again by itself, up to 10,000.",
        ["what"],
        SCHEDULER,
    ),
    Metric(
        "payouts_payouts",
        "gauge",
        "Payouts that are on their way, by state, up to 10,000 each.",
        ["status"],
        SCHEDULER,
    ),
    Metric(
        "payouts_requests",
        "gauge",
        "Requested payouts that are not over, by state, up to 10,000 each.",
        ["status"],
        SCHEDULER,
    ),
    Metric(
        "payouts_differences",
        "gauge",
        "Differences between our books and Stripe's that are not healed, up to 1,000 of all.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_invariant_violations",
        "gauge",
        "What the last check of each invariant of the books found.",
        ["invariant"],
        SCHEDULER,
    ),
    Metric(
        "payouts_invariants_checked_age_seconds",
        "gauge",
        "How long ago the invariant that was checked the longest ago was checked.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_invariants_check_interval_seconds",
        "gauge",
        "How often they are to be checked; absent where only by command.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_last_event_age_seconds",
        "gauge",
        "How long ago the last event came into the inbox; absent where none ever did.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_walked_age_seconds",
        "gauge",
        "Of the account that was walked the longest ago: how far back lies what is walked.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_walk_interval_seconds",
        "gauge",
        "How often each account is to be walked; absent where only by command.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_proved_age_seconds",
        "gauge",
        "Of the account whose proofs end the earliest: how long ago that is; absent where none are made.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_mode",
        "gauge",
        "1 while the mode is on: emergency, recovery, maintenance, stopped (the kill switch), shadow.",
        ["mode"],
        SCHEDULER,
    ),
    Metric(
        "payouts_mode_age_seconds",
        "gauge",
        "For how long it is on; absent where it is off.",
        ["mode"],
        SCHEDULER,
    ),
    Metric(
        "payouts_queue_messages",
        "gauge",
        "Messages of a queue: `waiting` to be fetched, `held` by a worker, `delayed` until later.",
        ["queue", "state"],
        SCHEDULER,
    ),
    Metric(
        "payouts_processes",
        "gauge",
        "Processes that were heard of in the last 30 seconds.",
        ["role"],
        SCHEDULER,
    ),
    Metric(
        "payouts_spilled_events", "gauge", "Events in the spill that are not in the inbox yet.", (), SCHEDULER
    ),
    Metric(
        "payouts_spilled_oldest_age_seconds",
        "gauge",
        "How long ago the oldest of them was spilled; 0 where none is.",
        (),
        SCHEDULER,
    ),
    Metric(
        "payouts_spill_refused_events",
        "gauge",
        "Events of the spill that the inbox refused, which are kept aside.",
        (),
        SCHEDULER,
    ),
)
