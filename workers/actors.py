"""The actors: thin shells that take ids, call the domain, log the outcome and send on what follows."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import dramatiq

from payouts.bootstrap import WorkerParts
from payouts.combine import Combiner
from payouts.errors import GatewayError
from payouts.logs import get_logger
from payouts.lookup import Resolver
from payouts.outcome import BatchResult
from workers.messages import (
    APPLY,
    APPLY_ALONE,
    EVENTS_QUEUE,
    LOOKUPS_QUEUE,
    PAYOUTS_QUEUE,
    REFRESH,
    RESOLVE,
    SEND,
    Messages,
)

RETRIES = {"max_retries": 8, "min_backoff": 1_000, "max_backoff": 60_000}
"""For a lost database only: what an event itself does wrong is counted on its row. Past these tries the
message goes, and the sweeper sends the rows again."""


LOOKUPS_AT_ONCE = 2
LOOKUP_PAUSE_MS = 1_000
LATELY_S = 2.0
"""Live events are likely to come again within this time of the last ones."""


class Actors:
    """What workers do with messages, on the parts that the composition root built."""

    def __init__(self, parts: WorkerParts, messages: Messages, batch_max: int, log_events: bool) -> None:
        self._applier = parts.applier
        self._resolver = Resolver(parts.applier, parts.gateway)
        self._sender = parts.sender
        self._record = parts.record
        self._messages = messages
        self._log_events = log_events
        self._log = get_logger()
        self._lookups = threading.BoundedSemaphore(LOOKUPS_AT_ONCE)
        self._live_at = -LATELY_S
        self._combiner = Combiner(self._apply, batch_max, len)

    def declare_events(self, broker: dramatiq.Broker) -> None:
        """Make what is done with events and accounts known to `broker`."""
        options: dict[str, Any] = {"broker": broker, **RETRIES}
        dramatiq.actor(actor_name=APPLY, queue_name=EVENTS_QUEUE, **options)(self._combiner.run)
        dramatiq.actor(actor_name=APPLY_ALONE, queue_name=EVENTS_QUEUE, **options)(self._apply_alone)
        dramatiq.actor(actor_name=RESOLVE, queue_name=LOOKUPS_QUEUE, **options)(self._resolve)
        dramatiq.actor(actor_name=REFRESH, queue_name=LOOKUPS_QUEUE, **options)(self._refresh)

    def declare_payouts(self, broker: dramatiq.Broker) -> None:
        """Make the sending of payouts known to `broker`."""
        options: dict[str, Any] = {"broker": broker, **RETRIES}
        dramatiq.actor(actor_name=SEND, queue_name=PAYOUTS_QUEUE, **options)(self._send)

    def live_lately(self) -> bool:
        """Whether this process had live events within the last LATELY_S."""
        return time.monotonic() - self._live_at < LATELY_S

    def _apply(self, bundles: Sequence[Sequence[int]]) -> list[None]:
        self._live_at = time.monotonic()
        with self._record.batch() as batch:
            batch.result = self._applier.apply([inbox_id for ids in bundles for inbox_id in ids])
        self.send_on(batch.result)
        return [None] * len(bundles)

    def _apply_alone(self, inbox_id: int) -> None:
        with self._record.batch() as batch:
            batch.result = self._applier.apply([inbox_id])
        self.send_on(batch.result)

    def _send(self, request_id: int) -> None:
        with self._record.sending(request_id):
            self._sender.send(request_id)

    def _resolve(self, inbox_id: int) -> None:
        # All queues share the threads of a worker: slow answers of Stripe's may take only some of them.
        if not self._lookups.acquire(blocking=False):
            self._messages.resolve_later(inbox_id, LOOKUP_PAUSE_MS + random.randrange(LOOKUP_PAUSE_MS))
            return
        try:
            with self._record.batch() as batch:
                batch.result = self._resolver.resolve(inbox_id)
            self.send_on(batch.result)
        finally:
            self._lookups.release()

    def _refresh(self, account: str) -> None:
        try:
            self._resolver.refresher.refresh(account)
        except GatewayError as error:
            self._log.warning("partner.unverified", account=account, error=str(error), next="asked again")

    def send_on(self, result: BatchResult) -> None:
        """Count and log what came of events, and send what follows from it."""
        self._report(result)
        try:
            for inbox_id in result.lookups:
                self._messages.resolve(inbox_id)
            for inbox_id, delay_ms in result.retries:
                self._messages.apply_later(inbox_id, delay_ms)
            for request_id in result.requests:
                self._messages.send_payout(request_id)
            if result.notices:
                self._messages.deliver_notices()
        except Exception as error:  # noqa: BLE001 - all is committed; the rows say when they are due
            self._log.warning("hint.lost", error=str(error)[:300], next="the sweeper sends them")

    def _report(self, result: BatchResult) -> None:
        if not result.outcomes:
            return
        counts = Counter(str(outcome.status) for outcome in result.outcomes)
        self._record.came_of(result)
        self._log.info("batch.applied", events=len(result.outcomes), **counts)
        for outcome in result.outcomes:
            troubled = outcome.status in ("dead", "retrying")
            if troubled or self._log_events:
                log = self._log.error if outcome.status == "dead" else self._log.info
                log(
                    f"event.{outcome.status}",
                    event_id=outcome.event_id,
                    inbox_id=outcome.inbox_id,
                    type=outcome.type,
                    object_id=outcome.object_id,
                    detail=outcome.detail,
                )
