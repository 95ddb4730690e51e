"""Where a group of events is made durable: the database, else the spill stream, else nowhere.

Every wait is bounded, and a store that failed is left alone until its breaker's probe finds it back: with
both frozen, the first group has its answer after two time-outs and every later one at once.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from payouts.crash import crash_point
from payouts.emergency_watch import EmergencyWatch
from payouts.errors import PayoutsError, SpillRefusedError, StoreUnavailableError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.storage.engine import is_contention, is_lock_wait, is_unavailable, ping, single_statement
from payouts.storage.inbox import NewEvent, add_events
from payouts.storage.spill import Spill
from webhooks.breaker import Breaker

Hint = Callable[[Sequence[int]], None]
Refused = Mapping[int, PayoutsError]
"""Delivery id → why the database would not have it."""

INSERT_TRIES = 3
QUICK_FAILURE_S = 0.2


class Stores:
    """Writes groups of events, and drains the spill when the database returns."""

    def __init__(
        self,
        engine: Engine,
        client: redis.Redis,
        spill: Spill,
        make_id: IdMaker,
        hint: Hint,
        emergency: EmergencyWatch | None = None,
    ) -> None:
        """`emergency`: while that mode is on, the database is not asked."""
        self._engine = engine
        self._spill = spill
        self._make_id = make_id
        self._hint = hint
        self._emergency = emergency
        self._log = get_logger()
        self.database = Breaker("database", self._ping_database, self.drain)
        self.redis = Breaker("redis", client.ping, self.drain)

    def write(self, events: Sequence[NewEvent]) -> Refused:
        """Return once `events` are durable, with those that the database refused (as a rule none).

        Raises StoreUnavailableError where no store takes them.
        """
        if self.in_emergency() and self._spilled(events):
            return {}
        if not self.database.is_open:
            try:
                self._insert(events)
                return {}
            except (SQLAlchemyError, OSError, StoreUnavailableError) as error:
                if not is_unavailable(error):
                    return self._find_refused(events, error)
                if not is_lock_wait(error):  # else it answers: only a row of this group is somebody else's
                    self.database.trip(error)
        if self.redis.is_open:
            raise StoreUnavailableError("neither the database nor Redis takes events")
        try:
            self._spill.append(events)
        except StoreUnavailableError as error:
            self.redis.trip(error)
            raise
        self._log.info("intake.spilled", events=len(events))
        return {}

    def drain(self) -> None:
        """Move spilled events into the inbox and hint at them."""
        if self.redis.is_open or self.database.is_open:
            return  # the other one's return comes here again
        if self.in_emergency():
            return  # the scheduler drains once it is off
        self._spill.drain(self._engine, self._make_id, self._hint)

    def in_emergency(self) -> bool:
        """Whether emergency mode is on, as far as is known: a Redis that failed is not asked."""
        if self._emergency is None:
            return False
        if not self.redis.is_open:
            try:
                return self._emergency.ask() is not None
            except redis.RedisError as error:
                self.redis.trip(error)
        return self._emergency.known is not None

    def close(self) -> None:
        """Stop the probes."""
        self.database.end()
        self.redis.end()

    def _spilled(self, events: Sequence[NewEvent]) -> bool:
        """Whether `events` are in the spill. Where it does not take them, the database is asked as ever."""
        if self.redis.is_open:
            return False
        try:
            self._spill.append(events)
        except SpillRefusedError as error:
            self._log.warning("intake.not_spilled", reason=str(error))
            return False
        except StoreUnavailableError as error:
            self.redis.trip(error)
            return False
        self._log.info("intake.spilled", events=len(events), emergency=True)
        return True

    def _insert(self, events: Sequence[NewEvent]) -> None:
        # The insert can be repeated: an event that is there already is left as it is.
        began = time.monotonic()
        for tries_left in range(INSERT_TRIES - 1, -1, -1):
            try:
                ids = self._insert_once(events)
                break
            except DBAPIError as error:
                # A pooled connection that died with the last server, or a deadlock: worth another try at
                # once. What took its time to fail has used up the time that senders can wait.
                again = error.connection_invalidated or is_contention(error)
                if not again or not tries_left or time.monotonic() - began > QUICK_FAILURE_S:
                    raise
        crash_point("intake.after_commit")
        if ids:
            self._hint(ids)
        crash_point("intake.after_hint")

    def _insert_once(self, events: Sequence[NewEvent]) -> list[int]:
        crash_point("intake.before_commit")
        with single_statement(self._engine) as connection:
            return add_events(connection, events, self._make_id)

    def _find_refused(self, events: Sequence[NewEvent], error: BaseException) -> Refused:
        # The database refused the group, not the connection: find the event it refuses.
        if len(events) == 1:
            event_id = events[0].envelope.event_id
            self._log.error("intake.refused", event_id=event_id, error=str(error)[:500])
            return {events[0].id: StoreUnavailableError(f"the database refused {event_id}")}
        middle = len(events) // 2
        return {**self.write(events[:middle]), **self.write(events[middle:])}

    def _ping_database(self) -> None:
        ping(self._engine)
