"""A breaker for questions to Stripe: while nothing answers, nobody waits for the next answer in vain."""

import threading

UNANSWERED_MOST = 3
"""Questions in a row without an answer, then it is open."""
OPEN_MS = 30_000
"""For so long nothing is asked; then one question finds out."""


class Pause:
    """Open while Stripe does not answer. Safe to share between threads."""

    def __init__(self) -> None:
        self._unanswered = 0
        self._until_ms = 0
        self._lock = threading.Lock()

    def is_open(self, now_ms: int) -> bool:
        """Whether nothing is to be asked now."""
        with self._lock:
            return now_ms < self._until_ms

    def answered(self) -> None:
        """Stripe said something, whatever it was."""
        with self._lock:
            self._unanswered, self._until_ms = 0, 0

    def unanswered(self, now_ms: int) -> None:
        """A question got no answer."""
        with self._lock:
            self._unanswered += 1
            if self._unanswered >= UNANSWERED_MOST:
                self._until_ms = now_ms + OPEN_MS
