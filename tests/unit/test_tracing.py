"""An event's trace is one, whoever adds to it, and holds no more than ids and outcomes."""

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from payouts import tracing
from payouts.meters import Meters
from payouts.outcome import BatchResult, Outcome
from payouts.record import Record
from payouts.settings import Settings
from payouts.states import EventStatus
from payouts.tracing import Traces, first_span_id_of, open_traces, trace_id_of
from tests.support.catcher import Caught, catching


def settings(**more: Any) -> Settings:
    return Settings(database_url="sqlite://", redis_url="redis://127.0.0.1:1/0", **more)


def spans_in(caught: Caught) -> list[Any]:
    """The spans that a collector was sent, each with the service it is from as `service`."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = []
    for path, body in caught.posted:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def outcome(event_id: str, status: EventStatus = EventStatus.APPLIED) -> Outcome:
    return Outcome(7, event_id, "payout.paid", status, "holds a name: Jane Roe", "po_1", 12)


def a_worker(port: int, ratio: float = 1.0) -> Record:
    at = settings(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{port}", traces_ratio=ratio)
    return Record(open_traces(at, "worker"))


def test_receiver_and_worker_add_to_one_trace_down_to_the_call_to_stripe() -> None:
    with catching() as caught:
        at = settings(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{caught.port}/")
        receiver = open_traces(at, "receiver")
        assert receiver is not None
        receiver.received("evt_1", "payout.paid", time.time_ns() - 1_000_000)
        receiver.close()
        worker = a_worker(caught.port)
        with worker.batch() as batch:
            worker.called("read", "answered", 0.25)
            batch.result = BatchResult([outcome("evt_1")])
        worker.close()
        by_name = {span.name: span for span in spans_in(caught)}
        everything = caught.everything

    received, applied, called = by_name["event.receive"], by_name["event.apply"], by_name["stripe.call"]
    assert int.from_bytes(received.trace_id) == trace_id_of("evt_1")
    assert int.from_bytes(received.span_id) == first_span_id_of("evt_1")
    assert received.trace_id == applied.trace_id == called.trace_id
    assert (applied.parent_span_id, called.parent_span_id) == (received.span_id, applied.span_id)
    assert not received.parent_span_id
    assert called.end_time_unix_nano - called.start_time_unix_nano == 250_000_000
    batch_span = by_name["batch.apply"]
    assert [link.trace_id for link in batch_span.links] == [received.trace_id]
    assert [link.span_id for link in applied.links] == [batch_span.span_id]
    assert b"Jane Roe" not in everything


def test_a_batch_of_many_has_a_trace_that_links_to_those_of_its_events() -> None:
    with catching() as caught:
        worker = a_worker(caught.port)
        with worker.batch() as batch:
            worker.called("read", "answered", 0.1)
            batch.result = BatchResult([outcome("evt_1"), outcome("evt_2", EventStatus.DEAD)])
        worker.close()
        spans = spans_in(caught)

    applied = {int.from_bytes(span.trace_id) for span in spans if span.name == "event.apply"}
    (batch_span,) = [span for span in spans if span.name == "batch.apply"]
    assert applied == {trace_id_of("evt_1"), trace_id_of("evt_2")}
    assert {int.from_bytes(link.trace_id) for link in batch_span.links} == applied
    assert int.from_bytes(batch_span.trace_id) not in applied
    assert "stripe.call" not in {span.name for span in spans}


def test_a_payout_that_is_sent_has_a_trace_with_its_calls() -> None:
    with catching() as caught:
        worker = a_worker(caught.port)
        with worker.sending(41):
            pass  # it waits for something: no trace
        with worker.sending(42):
            worker.called("write", "answered", 0.1)
            worker.called("write", "refused", 0.2)
        worker.close()
        spans = spans_in(caught)

    assert {int.from_bytes(span.trace_id) for span in spans} == {trace_id_of("request 42")}
    assert sorted(span.name for span in spans) == ["payout.send", "stripe.call", "stripe.call"]


def test_all_processes_choose_the_same_events() -> None:
    events = [f"evt_{number}" for number in range(200)]
    with catching() as caught:
        at = settings(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{caught.port}", traces_ratio=0.3)
        receiver = open_traces(at, "receiver")
        assert receiver is not None
        for event_id in events:
            receiver.received(event_id, "payout.paid", time.time_ns())
        receiver.close()
        worker = a_worker(caught.port, 0.3)
        for event_id in events:
            with worker.batch() as batch:
                batch.result = BatchResult([outcome(event_id)])
        worker.close()
        spans = spans_in(caught)

    chosen = {
        name: {span.trace_id for span in spans if span.name == name}
        for name in ("event.receive", "event.apply")
    }
    assert chosen["event.receive"] == chosen["event.apply"]
    assert 20 < len(chosen["event.receive"]) < 110


def test_a_collector_that_is_away_holds_up_nobody() -> None:
    worker = a_worker(1)
    began_s = time.monotonic()
    for number in range(3_000):  # more than its queue takes
        with worker.batch() as batch:
            batch.result = BatchResult([outcome(f"evt_{number}")])
    worker.close()
    assert time.monotonic() - began_s < 60


def test_off_it_counts_alone() -> None:
    worker = Record(open_traces(settings(), "worker"))
    with worker.batch() as batch:
        batch.result = BatchResult([outcome("evt_1")], moves=[])
    with worker.sending(1):
        worker.called("write", "answered", 0.1)
    worker.came_of(batch.result)
    worker.close()

    totals = Meters(worker.outcomes, worker.stripe, only_here=[worker.batches, worker.picked_up]).everything()
    assert totals["events", "applied"] == 1
    assert totals["batch_events", "apply"] == 1
    assert totals["picked_up_ms",] == 12
    assert totals["stripe_calls", "write", "answered"] == 1


@pytest.mark.parametrize("value", ["collector:4318", "grpc://collector:4317"])
def test_an_address_of_another_kind_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="OTLP over HTTP"):
        settings(otel_exporter_otlp_endpoint=value)


def test_what_is_off_is_not_imported() -> None:
    code = (
        "import sys, api.__main__, console.web.__main__, webhooks.__main__, workers.__main__\n"
        "from payouts.settings import Settings; from payouts.error_reports import open_troubles\n"
        "from payouts.tracing import open_traces\n"
        "s = Settings(database_url='sqlite://', redis_url='redis://127.0.0.1:1/0')\n"
        "open_troubles(s, 'worker'); assert open_traces(s, 'worker') is None\n"
        # redis-py looks for OpenTelemetry's metrics by itself; no more than that is there.
        "costly = ('sentry_sdk', 'opentelemetry.sdk.trace', 'opentelemetry.exporter', 'payouts.exposition')\n"
        "print([name for name in sys.modules if name.startswith(costly)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_collector_that_hangs_does_not_hold_up_the_end_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    waited_out, over = threading.Event(), threading.Event()

    class Hangs(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            if not over.wait(30):
                waited_out.set()
            return SpanExportResult.SUCCESS

    monkeypatch.setattr(tracing, "EXPORT_WITHIN_S", 0.2)
    traces = Traces(Hangs(), 1.0, "worker", "test")
    traces.received("evt_1", "payout.paid", time.time_ns())
    traces.close()
    assert not waited_out.is_set()
    over.set()
