"""What a worker does, counted and, where traces are on, traced. Nothing here changes what is done."""

import time
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from payouts.meters import (
    BATCH_BOUNDS,
    BATCH_EVENTS,
    BATCHES,
    EVENTS,
    MOVES,
    PICKED_UP,
    PICKED_UP_MS,
    WAITED_BOUNDS_MS,
    Counter,
    Spread,
    StripeMeter,
)
from payouts.outcome import BatchResult
from payouts.tracing import CallSeen, Traces


@dataclass(slots=True)
class Batch:
    """A batch that is under way; `result` is set once it is through."""

    result: BatchResult = field(default_factory=BatchResult)


class Record:
    """Counts and traces, from any thread."""

    def __init__(self, traces: Traces | None = None) -> None:
        self.outcomes = Counter(EVENTS)
        self.stripe = StripeMeter()
        self.moves = Counter(MOVES)
        self.batches = Spread(BATCHES, BATCH_EVENTS, BATCH_BOUNDS, "apply")
        self.picked_up = Spread(PICKED_UP, PICKED_UP_MS, WAITED_BOUNDS_MS)
        self._traces = traces

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Around the work on a batch of events. Nothing is traced of one that raises: it comes again."""
        batch = Batch()
        if self._traces is None:
            yield batch
        else:
            began_ns = time.time_ns()
            with self._traces.gathering() as calls:
                yield batch
            self._traces.applied(batch.result.outcomes, began_ns, calls)
        if batch.result.outcomes:
            self.batches.add([len(batch.result.outcomes)])

    @contextmanager
    def sending(self, request_id: int) -> Iterator[None]:
        """Around the sending of a requested payout."""
        if self._traces is None:
            yield
            return
        began_ns, calls = time.time_ns(), list[CallSeen]()
        try:
            with self._traces.gathering() as calls:
                yield
        finally:
            self._traces.sent(request_id, began_ns, calls)

    def came_of(self, result: BatchResult) -> None:
        """Count what came of events, whoever brought them."""
        counts = Tally(str(outcome.status) for outcome in result.outcomes)
        self.outcomes.add({(status,): count for status, count in counts.items()})
        self.picked_up.add(each.waited_ms for each in result.outcomes if each.waited_ms is not None)
        self.moves.add({(str(status),): count for status, count in Tally(result.moves).items()})

    def called(self, kind: str, outcome: str, took_s: float) -> None:
        """Count a call to Stripe, which ended just now."""
        self.stripe.called(kind, outcome, took_s)
        if self._traces is not None:
            self._traces.called(kind, outcome, took_s)

    def close(self) -> None:
        """Send on what was traced, for a few seconds at the most."""
        if self._traces is not None:
            self._traces.close()
