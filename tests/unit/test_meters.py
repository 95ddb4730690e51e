"""Meters count what happened, once, and Prometheus reads them."""

import threading

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from payouts.exposition import registry_of
from payouts.meters import (
    ANSWERS,
    BLOCKED,
    BOUNDS_MS,
    EVENTS,
    LIMITED,
    LIMITS,
    TOOK,
    TOOK_MS,
    Counter,
    HttpMeter,
    Meters,
    StripeMeter,
)


def test_an_answer_counts_by_its_class_and_by_the_time_it_took() -> None:
    meter = HttpMeter("api")

    for status, took_s in [(200, 0.2), (201, 0.2001), (429, 0.0), (503, 60.0)]:
        meter.answered(status, took_s)

    counted = {key: count for key, count in meter.totals().items() if count}
    assert counted == {
        (ANSWERS, "api", "2xx"): 2,
        (ANSWERS, "api", "4xx"): 1,
        (ANSWERS, "api", "5xx"): 1,
        (LIMITED, "api"): 1,
        (TOOK, "api", "1"): 1,
        (TOOK, "api", "200"): 1,
        (TOOK, "api", "250"): 1,
        (TOOK, "api", "inf"): 1,
        (TOOK_MS, "api"): 60_400,
    }


def test_what_was_taken_is_not_taken_again() -> None:
    events = Counter(EVENTS)
    meters = Meters(events, HttpMeter("api"))
    events.add({("applied",): 3, ("dead",): 1})

    assert meters.take() == {(EVENTS, "applied"): 3, (EVENTS, "dead"): 1}
    assert meters.take() == {}
    events.add({("applied",): 2})
    assert meters.take() == {(EVENTS, "applied"): 2}
    assert meters.totals()[EVENTS, "applied"] == 5


def test_threads_lose_no_count() -> None:
    events = Counter(EVENTS)

    def work() -> None:
        for _ in range(2_000):
            events.add({("applied",): 1})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert events.totals() == {(EVENTS, "applied"): 8_000}


def test_prometheus_reads_counters_and_a_whole_histogram() -> None:
    events, http, stripe = Counter(EVENTS), HttpMeter("receiver"), StripeMeter()
    events.add({("applied",): 7})
    for took_s in (0.004, 0.15, 0.199, 0.45, 30):
        http.answered(200, took_s)
    stripe.called("read", "answered", 1.5)

    limits, blocked = Counter(LIMITS), Counter(BLOCKED)
    limits.add({("api", "api-read"): 2})
    blocked.add({("receiver",): 3})

    text = generate_latest(registry_of(Meters(events, http, stripe, limits, blocked))).decode()

    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["payouts_events_total", "applied"] == 7
    assert samples["payouts_http_requests_total", "2xx", "receiver"] == 5
    assert samples["payouts_rate_limit_hits_total", "receiver"] == 0
    assert samples["payouts_rate_limit_refusals_total", "api", "api-read"] == 2
    assert samples["payouts_blocked_requests_total", "receiver"] == 3
    assert samples["payouts_stripe_calls_total", "answered", "read"] == 1
    assert samples[("payouts_stripe_call_seconds_total",)] == 1.5
    bucket = "payouts_http_request_seconds_bucket"
    assert samples[bucket, "0.2", "receiver"] == 3
    assert samples[bucket, "0.5", "receiver"] == 4
    assert (
        samples[bucket, "+Inf", "receiver"] == samples["payouts_http_request_seconds_count", "receiver"] == 5
    )
    assert samples["payouts_http_request_seconds_sum", "receiver"] == 30.803


def test_the_bounds_hold_those_where_levels_change() -> None:
    assert {200, 500} <= set(BOUNDS_MS)
    assert list(BOUNDS_MS) == sorted(BOUNDS_MS)
