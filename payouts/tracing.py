"""Traces: an event from its delivery to the worker's transaction and the calls to Stripe, by OpenTelemetry.

Messages of the queue hold ids alone, and events come again by other ways than the queue. So nothing carries a
trace from process to process: its id is made from the event's own, by each of them alike. What is a batch has
a trace of its own that links to those of its events.

Spans are made when what they tell of is over, from the times it took: nothing is open meanwhile, and what is
not traced costs nothing. OpenTelemetry is only imported where it is on. A collector that is away is waited
for by nobody: spans that do not fit into its queue are dropped.
"""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payouts.outcome import Outcome
from payouts.settings import Settings
from payouts.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

EXPORT_WITHIN_S = 3.0
LINKS_MOST = 128


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call to Stripe."""

    kind: str
    outcome: str
    began_ns: int
    ended_ns: int


def open_traces(settings: Settings, role: str) -> "Traces | None":
    """What traces; None where OTEL_EXPORTER_OTLP_ENDPOINT is not set."""
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_WITHIN_S)
    return Traces(exporter, settings.traces_ratio, role, settings.environment)


def trace_id_of(name: str) -> int:
    """The trace of an event or a request, by its name: the same in every process."""
    return int.from_bytes(hashlib.sha256(f"trace {name}".encode()).digest()[:16]) or 1


def first_span_id_of(name: str) -> int:
    """Its first span, under which the others stand."""
    return int.from_bytes(hashlib.sha256(f"span {name}".encode()).digest()[:8]) or 1


class Traces:
    """Makes spans, from any thread. They carry ids, types and outcomes; no payload, name or amount."""

    def __init__(self, exporter: "SpanExporter", ratio: float, role: str, environment: str) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

        self._api = trace
        self._ids = _named_ids()
        about = {
            "service.name": f"payouts-{role}",
            "service.version": VERSION,
            "deployment.environment.name": environment,
        }
        # Sampled by the trace's id, which is made from the event's: all processes choose the same events.
        self._provider = TracerProvider(
            TraceIdRatioBased(ratio), Resource(about), shutdown_on_exit=False, id_generator=self._ids
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("payouts", VERSION)
        self._gathered = threading.local()

    def received(self, event_id: str, event_type: str, began_ns: int) -> None:
        """A delivery was made durable, just now."""
        attributes = {"payouts.event_id": event_id, "payouts.event_type": event_type}
        self._ids.next_are(trace_id_of(event_id), first_span_id_of(event_id))
        try:
            self._span("event.receive", self._api.SpanKind.SERVER, attributes, None, began_ns)
        finally:
            self._ids.next_are(None, None)

    def applied(self, outcomes: Sequence[Outcome], began_ns: int, calls: Sequence[CallSeen]) -> None:
        """A batch went through, just now, with these calls to Stripe."""
        if not outcomes:
            return
        consumer = self._api.SpanKind.CONSUMER
        links = [self._api.Link(_context(self._api, each.event_id)) for each in outcomes[:LINKS_MOST]]
        count = {"payouts.events": len(outcomes)}
        batch = self._span("batch.apply", consumer, count, None, began_ns, links=links)
        for each in outcomes:
            attributes = {
                "payouts.event_id": each.event_id,
                "payouts.event_type": each.type,
                "payouts.inbox_id": str(each.inbox_id),
                "payouts.outcome": str(each.status),
            }
            parent = _context(self._api, each.event_id)
            link = [self._api.Link(batch)]
            made = self._span("event.apply", consumer, attributes, parent, began_ns, links=link)
            if len(outcomes) == 1:  # else nobody knows for which of them Stripe was asked
                self._called(calls, made)

    def sent(self, request_id: int, began_ns: int, calls: Sequence[CallSeen]) -> None:
        """A requested payout was taken as far as it went, with these calls to Stripe."""
        if not calls:
            return  # it waits for something: as a rule the sweeper asked
        name = f"request {request_id}"
        self._ids.next_are(trace_id_of(name), None)
        try:
            attributes = {"payouts.request_id": str(request_id)}
            made = self._span("payout.send", self._api.SpanKind.CONSUMER, attributes, None, began_ns)
        finally:
            self._ids.next_are(None, None)
        self._called(calls, made)

    def called(self, kind: str, outcome: str, took_s: float) -> None:
        """A call to Stripe ended just now: it belongs to what this thread gathers for."""
        gathered: list[CallSeen] | None = getattr(self._gathered, "calls", None)
        if gathered is not None:
            ended_ns = time.time_ns()
            gathered.append(CallSeen(kind, outcome, ended_ns - round(took_s * 1e9), ended_ns))

    @contextmanager
    def gathering(self) -> Iterator[list[CallSeen]]:
        """Gather the calls to Stripe that this thread makes."""
        calls: list[CallSeen] = []
        self._gathered.calls = calls
        try:
            yield calls
        finally:
            self._gathered.calls = None

    def close(self) -> None:
        """Send on what was traced, for a few seconds at the most."""

        # The SDK sends batch after batch and takes the time limit for each: from a full queue to a collector
        # that is away that takes longer than a process has to stop in.
        def flush() -> None:
            self._provider.force_flush(round(EXPORT_WITHIN_S * 1000))
            self._provider.shutdown()

        sending = threading.Thread(target=flush, name="traces: the last", daemon=True)
        sending.start()
        sending.join(EXPORT_WITHIN_S)

    def _called(self, calls: Sequence[CallSeen], parent: Any) -> None:
        for call in calls:
            attributes = {"payouts.kind": call.kind, "payouts.outcome": call.outcome}
            client = self._api.SpanKind.CLIENT
            self._span("stripe.call", client, attributes, parent, call.began_ns, ended_ns=call.ended_ns)

    def _span(
        self,
        name: str,
        kind: Any,
        attributes: dict[str, Any],
        parent: Any,
        began_ns: int,
        *,
        ended_ns: int | None = None,
        links: Sequence[Any] = (),
    ) -> Any:
        """Make a whole span; its context. `parent`: a context, None: it begins a trace."""
        above = self._api.INVALID_SPAN if parent is None else self._api.NonRecordingSpan(parent)
        span = self._tracer.start_span(
            name,
            self._api.set_span_in_context(above),
            kind,
            attributes,
            links,
            began_ns,
        )
        span.end(ended_ns or time.time_ns())
        return span.get_span_context()


def _context(api: Any, name: str) -> Any:
    flags = api.TraceFlags(api.TraceFlags.SAMPLED)
    return api.SpanContext(trace_id_of(name), first_span_id_of(name), is_remote=True, trace_flags=flags)


def _named_ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

    class NamedIds(IdGenerator):
        """Random ids, but for those that this thread says are next."""

        def __init__(self) -> None:
            self._random = RandomIdGenerator()
            self._next = threading.local()

        def next_are(self, trace_id: int | None, span_id: int | None) -> None:
            self._next.trace_id, self._next.span_id = trace_id, span_id

        def generate_trace_id(self) -> int:
            return getattr(self._next, "trace_id", None) or self._random.generate_trace_id()

        def generate_span_id(self) -> int:
            return getattr(self._next, "span_id", None) or self._random.generate_span_id()

    return NamedIds()
