"""A reading that is never older than needed and never waited for longer than allowed.

A question to a dependency may hang. Whoever wants its answer gets the last one at once where that is fresh;
else a thread of its own asks, one at a time, and the caller waits a moment for it and no longer. So neither
do many askers hammer a dependency that is in trouble, nor does one that hangs hold up any of them.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

EVERY_S = 15.0
"""How old an answer may be before it is asked for again."""
WAIT_S = 1.0
"""How long a caller waits for one."""
KEPT_S = 60.0
"""An answer that is older is none."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a dependency said, and how long ago."""

    value: T
    age_s: float


class Fresh(Generic[T]):
    """Asks `read` when somebody wants to know. Safe to share between threads."""

    def __init__(
        self,
        read: Callable[[], T],
        *,
        every_s: float = EVERY_S,
        wait_s: float = WAIT_S,
        kept_s: float = KEPT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` raises where it has no answer: until it has one again, there is none."""
        self._read, self._monotonic = read, monotonic
        self._every_s, self._wait_s, self._kept_s = every_s, wait_s, kept_s
        self._guard = threading.Lock()
        self._asked_s = float("-inf")
        self._done = threading.Event()
        self._done.set()
        self._known: tuple[T, float] | None = None
        self.error: BaseException | None = None
        """What the last question ended with, if it failed."""

    def now(self) -> Answer[T] | None:
        """What is known; None where the last question failed, or has had no answer for too long."""
        with self._guard:
            due = self._done.is_set() and self._monotonic() - self._asked_s >= self._every_s
            if due:
                self._asked_s = self._monotonic()
                self._done.clear()
        if due:
            self._ask_soon()
        self._done.wait(self._wait_s)
        known = self._known
        if known is None or self._monotonic() - known[1] > self._kept_s:
            return None
        return Answer(known[0], self._monotonic() - known[1])

    def _ask_soon(self) -> None:
        try:
            threading.Thread(target=self._ask, name="look", daemon=True).start()
        except RuntimeError as error:  # no thread can be started now: asked again when it is due again
            self._known, self.error = None, error
            self._done.set()

    def _ask(self) -> None:
        try:
            self._known = (self._read(), self._monotonic())
            self.error = None
        except Exception as error:  # noqa: BLE001 - kept, for whoever wants to know: there is no answer
            self._known, self.error = None, error
        finally:
            self._done.set()
