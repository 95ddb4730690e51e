"""Where lists are read: a replica of the database while it keeps up, else the database itself.

Never what a decision rests on: what a replica shows may be seconds old. How far it is behind is told by a row
that the scheduler writes to the database every second, and that comes to the replica like every other.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, Table, select, update
from sqlalchemy.exc import SQLAlchemyError

from payouts.clock import Clock
from payouts.logs import get_logger
from payouts.storage.columns import OPTIONS, metadata
from payouts.storage.queries import reading

BEAT_EVERY_S = 1.0
LOOK_EVERY_S = 1.0
AWAY_S = 5.0
"""A replica that failed is left alone for so long: a look at one that hangs costs somebody its time limit."""
BEAT_ID = 1

T = TypeVar("T")

replica_beats = Table(
    "replica_beats",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    comment="one row, written every second, by which a replica shows how far it is behind",
    **OPTIONS,
)


def beat(engine: Engine, now_ms: int) -> None:
    """Write the row that replicas are measured by."""
    with engine.begin() as connection:
        mine = replica_beats.c.id == BEAT_ID
        connection.execute(update(replica_beats).where(mine).values(at_ms=now_ms))


@dataclass(slots=True)
class Lists:
    """Reads what may be a little stale. For many threads."""

    primary: Engine
    replica: Engine | None
    clock: Clock
    most_lag_ms: int
    monotonic: Callable[[], float] = time.monotonic
    _look_at_s: float = float("-inf")
    _keeps_up: bool = False
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` finds, which only reads: it is done again on the database where the replica fails."""
        if self.replica is not None and self._usable(self.replica):
            try:
                with reading(self.replica) as connection:
                    return work(connection)
            except (SQLAlchemyError, OSError) as error:
                self._note(False, AWAY_S, error=str(error)[:300])
        with reading(self.primary) as connection:
            return work(connection)

    def dispose(self) -> None:
        """Close the connections to the replica."""
        if self.replica is not None:
            self.replica.dispose()

    def _usable(self, replica: Engine) -> bool:
        if self.monotonic() < self._look_at_s or not self._looking.acquire(blocking=False):
            return self._keeps_up  # as found within the last second, or by whoever looks just now
        try:
            with reading(replica) as connection:
                told = connection.execute(select(replica_beats.c.at_ms)).scalar()
            lag_ms = self.clock() - int(told or 0)
            self._note(lag_ms <= self.most_lag_ms, LOOK_EVERY_S, lag_ms=lag_ms)
        except (SQLAlchemyError, OSError) as error:
            self._note(False, AWAY_S, error=str(error)[:300])
        finally:
            self._looking.release()
        return self._keeps_up

    def _note(self, keeps_up: bool, again_s: float, **facts: object) -> None:
        if keeps_up != self._keeps_up:
            log = get_logger()
            if keeps_up:
                log.info("replica.used", **facts)
            else:
                log.warning("replica.left_out", **facts, next="lists are read from the database itself")
        self._keeps_up, self._look_at_s = keeps_up, self.monotonic() + again_s
