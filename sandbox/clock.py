"""The sandbox's own time: the real one times a pace, plus what it was moved on by."""

import time
from collections.abc import Callable


class Clock:
    """`now()` is in seconds since 1970 and never goes back.

    `pace` 1 is real time, 60 lets a minute pass each second. `start_s` continues an earlier clock, which went
    on while nobody ran the sandbox.
    """

    def __init__(self, pace: float = 1.0, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self.pace = pace
        self._real_start_s = real()
        self._start_s = self._real_start_s
        self._held_s: float | None = None

    def now(self) -> float:
        if self._held_s is not None:
            return self._held_s
        return self._start_s + max(self._real() - self._real_start_s, 0.0) * self.pace

    def jump_to(self, at_s: float) -> None:
        """Move on to `at_s`; a time that has passed changes nothing."""
        if at_s > self.now():
            self._start_s, self._real_start_s = at_s, self._real()
            if self._held_s is not None:
                self._held_s = at_s

    def hold(self) -> None:
        """Stand still, so that what is due on the way is run at the time at which it was due."""
        self._held_s = self.now()

    def release(self) -> None:
        if self._held_s is not None:
            held_s, self._held_s = self._held_s, None
            self.jump_to(held_s)

    def real_wait_s(self, due_s: float) -> float:
        """How long to wait in real seconds until `due_s`."""
        return max(due_s - self.now(), 0.0) / self.pace

    def to_json(self) -> dict[str, float]:
        return {"start_s": self._start_s, "real_start_s": self._real_start_s, "pace": self.pace}

    def restore(self, kept: dict[str, float]) -> None:
        """Continue an earlier clock: the time between counts at the pace that it had then."""
        self._start_s, self._real_start_s = kept["start_s"], kept["real_start_s"]
        pace, self.pace = self.pace, kept["pace"]
        now_s = self.now()
        self._start_s, self._real_start_s, self.pace = now_s, self._real(), pace
