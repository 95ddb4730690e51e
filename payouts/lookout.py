"""The lookout: notices by itself that the database was restored to an earlier time, and stops all sending.

Before each call is written down the database is asked for the newest rows that are known to have been
committed: those that this process wrote, and those that others left in the trail. One that is not there
means that later ones are lost as well, so a recovery begins, in place of the call.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import redis
from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.errors import PayoutsError
from payouts.ids import IdMaker, time_of
from payouts.logs import get_logger
from payouts.recovering import begin_by_itself
from payouts.storage import recovery_rows
from payouts.storage.queries import reading
from payouts.storage.recovery_rows import Newest
from payouts.storage.trail import Trail
from payouts.storage.unit import in_transaction

EVERY_S = 1.0
"""How old what others left may be before it is asked for again."""


class RestoredError(PayoutsError):
    """The database lacks a row that was committed: it was restored to an earlier time."""

    transient = True

    def __init__(self, lost_id: int) -> None:
        super().__init__(
            f"the database lacks what was written at {iso(time_of(lost_id))}: an earlier state was restored"
        )
        self.lost_id = lost_id


@dataclass(slots=True)
class Lookout:
    """Watches one database; safe to share between threads."""

    engine: Engine
    trail: Trail
    make_id: IdMaker
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic
    _known: Newest = field(default_factory=Newest)
    _generation: str = ""
    _asked_s: float = -EVERY_S
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def check(self, connection: Connection) -> None:
        """Raise RestoredError where the database lacks what is known to have been committed.

        To be called in the transaction in which a call is written down.
        """
        self._ask(connection)
        known = self._known
        lost_id = recovery_rows.missing_of(connection, known)
        if not lost_id:
            return
        if lost_id <= recovery_rows.covered_until(connection):
            self._forget(known)  # a recovery was about it
            return
        raise RestoredError(lost_id)

    def sent(self, attempt_ids: Iterable[int]) -> None:
        """Note attempts that were committed just now, before their calls are made."""
        newest = max(attempt_ids, default=0)
        if newest:
            self._note(Newest(attempt_id=newest))

    def stop(self, error: RestoredError) -> None:
        """Begin a recovery because of what `check` found."""
        in_transaction(
            self.engine,
            lambda connection: begin_by_itself(
                connection, str(error), error.lost_id, self.make_id, self.clock()
            ),
        )

    def look(self) -> None:
        """Look once, and note how far the database has come. Called every little while."""
        try:
            in_transaction(self.engine, self.check)
        except RestoredError as error:
            self.stop(error)
            return
        with reading(self.engine) as connection:
            newest = recovery_rows.newest(connection)
        self._note(newest)

    def _ask(self, connection: Connection) -> None:
        """Learn which database this is, and now and then what others left in the trail."""
        with self._guard:
            now_s = self.monotonic()
            if now_s - self._asked_s < EVERY_S:
                return
            self._asked_s = now_s
        generation = recovery_rows.generation(connection)
        if generation != self._generation:
            if self._generation:
                self._forget(self._known)
            self._generation = generation
        self._note(self._known)

    def _note(self, newest: Newest) -> None:
        with self._guard:
            self._known = self._known.or_newer(newest)
            known = self._known
        if not self._generation:
            return
        try:
            noted = self.trail.note(self._generation, known)
        except redis.RedisError as error:
            get_logger().warning("trail.not_noted", error=str(error)[:300])
            return
        if noted.generation not in ("", self._generation):
            get_logger().warning("trail.other_database", next="it is about this database from now on")
        with self._guard:
            self._known = self._known.or_newer(noted.newest)

    def _forget(self, known: Newest) -> None:
        with self._guard:
            if self._known == known:
                self._known = Newest()
