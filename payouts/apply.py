"""The unit of work: a batch of events becomes payout states in one transaction.

Effect, transition, outbox row and the event's own status commit together or not at all. An event that
fails in the middle of a batch is recorded as failed and the rest goes on; a batch that the database
refuses is cut in half until the one event that it refuses stands alone.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from payouts.batch import Batch, Rules
from payouts.crash import crash_point
from payouts.outcome import BatchResult
from payouts.payloads import with_payloads
from payouts.storage import inbox
from payouts.storage.engine import is_contention, is_lock_wait, is_unavailable
from payouts.storage.inbox import WorkItem

Record = Callable[[Connection, BatchResult], None]
CONTENTION_TRIES = 6
LOCKED_PAUSE_MS = 2_000


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies events. Shares nothing but the engine; safe to use from several threads."""

    engine: Engine
    rules: Rules
    replay: Record | None = None
    """Set: events are run whatever their status, and this notes the outcomes in the same transaction."""

    def replaying(self, record: Record) -> "Applier":
        """The same, for events that are run once more on purpose."""
        return dataclasses.replace(self, replay=record)

    def apply(self, ids: Sequence[int]) -> BatchResult:
        """Apply the open and due events among `ids`. Raises what a lost database raises."""
        # What is replayed may lie in the archive, which may take its time: no row is locked meanwhile.
        brought = self.rules.payloads.bring(self.engine, ids) if self.replay else {}
        try:
            return self.in_one_transaction(lambda connection: self._run(connection, ids, brought))
        except Exception as error:
            # The server's refusal or the driver's own: SQLite's raises OverflowError for a large number.
            if is_unavailable(error) and not is_lock_wait(error):
                raise
            return self._cut(ids, error)

    def in_one_transaction(self, work: Callable[[Connection], BatchResult]) -> BatchResult:
        """Commit what `work` does; the whole of it again after a deadlock or a busy database."""
        for attempt in _contention_retry():
            with attempt:
                with self.engine.begin() as connection:
                    result = work(connection)
                    if self.replay:
                        self.replay(connection, result)
                    crash_point("apply.before_commit")
                crash_point("apply.after_commit")
                return result
        raise AssertionError("unreachable: the retry returns or raises")

    def lock(self, connection: Connection, ids: Sequence[int]) -> list[WorkItem]:
        """Those of these events that may be run now, locked."""
        if self.replay:
            return inbox.lock_any(connection, ids)
        return inbox.lock_open(connection, ids, self.rules.clock())

    def lock_one(self, connection: Connection, inbox_id: int) -> WorkItem | None:
        """The event, whenever it is due, locked; None where it may not be run, or does not exist."""
        if self.replay:
            return next(iter(inbox.lock_any(connection, [inbox_id])), None)
        return inbox.lock_one(connection, inbox_id)

    def _run(self, connection: Connection, ids: Sequence[int], brought: Mapping[int, bytes]) -> BatchResult:
        items = with_payloads(self.lock(connection, ids), brought)
        return Batch(self.rules, connection).run(items)

    def _cut(self, ids: Sequence[int], error: Exception) -> BatchResult:
        if len(ids) == 1 and is_lock_wait(error):
            # Somebody else has its payout locked: it comes again, and holds up none of its neighbours.
            return BatchResult(retries=[(ids[0], LOCKED_PAUSE_MS)])
        if len(ids) == 1:
            return self.in_one_transaction(lambda connection: self._fail(connection, ids[0], error))
        middle = len(ids) // 2
        result = self.apply(ids[:middle])
        result.extend(self.apply(ids[middle:]))
        return result

    def _fail(self, connection: Connection, inbox_id: int, error: Exception) -> BatchResult:
        item = self.lock_one(connection, inbox_id)
        return Batch(self.rules, connection).fail_one(item, error) if item else BatchResult()


def _contention_retry() -> Retrying:
    """Seconds, bounded, jittered: what waits longer is the queue's business."""
    return Retrying(
        retry=retry_if_exception(lambda error: is_contention(error) and not is_lock_wait(error)),
        stop=stop_after_attempt(CONTENTION_TRIES),
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        reraise=True,
    )
