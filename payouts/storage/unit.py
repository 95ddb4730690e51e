"""The unit of work: one transaction, and the whole of it again where the database asks for that."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from payouts.crash import crash_point
from payouts.errors import RowIdTakenError
from payouts.storage.engine import is_contention

T = TypeVar("T")

TRIES = 8


def in_transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Commit what `work` does and return what it returns.

    After a deadlock, a lock wait that ran out, a busy file or a row id that was taken all of it is done
    again, from reading on: `work` must change nothing but the database.
    """
    for attempt in _retrying():
        with attempt:
            with engine.begin() as connection:
                result = work(connection)
                crash_point("unit.before_commit")
            crash_point("unit.after_commit")
            return result
    raise AssertionError("unreachable: the retry returns or raises")


def _retrying() -> Retrying:
    return Retrying(
        retry=retry_if_exception(lambda error: is_contention(error) or isinstance(error, RowIdTakenError)),
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        reraise=True,
    )
