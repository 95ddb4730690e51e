"""One log line for each kind of trouble with the database, from every engine, whatever else comes of it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from payouts.logs import get_logger
from payouts.storage.database_fault import Fault, FaultKind, fault_of

AGAIN_AFTER_S = 30.0
"""The same trouble is told again no sooner, with how often it came meanwhile: an outage is no flood."""
_PASSING = frozenset({FaultKind.LOCK_WAIT, FaultKind.DEADLOCK})
"""These come now and then where all is well, and are tried again."""


class FaultLog:
    """Tells of the faults of one process. Safe to share between threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._told_s: dict[FaultKind, float] = {}
        self._since: dict[FaultKind, int] = {}

    def note(self, error: BaseException | None) -> None:
        """Tell of `error`, if it speaks of the database and was not told of just now."""
        fault = fault_of(error)
        if fault is None:
            return
        now_s = self._monotonic()
        with self._lock:
            again = self._since.get(fault.kind, 0)
            if now_s - self._told_s.get(fault.kind, -AGAIN_AFTER_S) < AGAIN_AFTER_S:
                self._since[fault.kind] = again + 1
                return
            self._told_s[fault.kind], self._since[fault.kind] = now_s, 0
        self._tell(fault, again)

    def _tell(self, fault: Fault, again: int) -> None:
        if not structlog.is_configured():
            return  # a command, not a service: it says so itself, where it ends
        log = get_logger()
        tell = log.info if fault.kind in _PASSING else log.error
        more = {"times_since_last_told": again} if again else {}
        tell(f"database.{fault.kind}", what=fault.what, do=fault.remedy, **more)


FAULT_LOG = FaultLog()
"""Of this process: what all of its engines meet is told once."""


class ToldPool(QueuePool):
    """A pool that says so where nobody gave a connection back in time."""

    def _do_get(self) -> Any:
        try:
            return super()._do_get()
        except PoolTimeoutError as error:
            FAULT_LOG.note(error)
            raise


def tell_faults(engine: Engine) -> None:
    """Have the faults that `engine` meets told, when it connects and later."""

    @event.listens_for(engine, "handle_error")
    def _note(context: ExceptionContext) -> None:
        FAULT_LOG.note(context.original_exception)
