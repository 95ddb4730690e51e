"""Hints to the workers, sent behind the answers: an acknowledgement never waits for the queue.

One thread gathers the ids of finished flushes and sends them in as few messages as it can. With Redis
down a hint is dropped: the row is the truth, and the sweeper sends what is due.
"""

import threading
import time
from collections.abc import Callable, Sequence

from payouts.logs import get_logger
from webhooks.breaker import Breaker

MAX_IDS = 500
"""Inbox ids in one message."""
MAX_WAITING = 50_000
GAP_S = 0.004
"""Between two messages at the least: a lone hint goes at once, a stream of them shares messages. Sending one
costs the receiver 130 µs (measured), as much as reading two deliveries."""


class Hints:
    """Sends inbox ids with `send`, from a thread of its own."""

    def __init__(self, send: Callable[[Sequence[int]], None]) -> None:
        self._send = send
        self._waiting: list[int] = []
        self._some = threading.Condition()
        self._ended = False
        self._pause = threading.Event()
        self._log = get_logger()
        self.breaker: Breaker | None = None
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self._thread.start()

    def add(self, ids: Sequence[int]) -> None:
        """Send these ids soon."""
        with self._some:
            if len(self._waiting) < MAX_WAITING:
                self._waiting += ids
                self._some.notify()

    def close(self, timeout_s: float = 3.0) -> None:
        """Send what waits, then stop."""
        with self._some:
            self._ended = True
            self._pause.set()
            self._some.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._some:
                self._some.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                ids, self._waiting = self._waiting[:MAX_IDS], self._waiting[MAX_IDS:]
            if self.breaker and self.breaker.is_open:
                continue
            sent_at = time.monotonic()
            try:
                self._send(ids)
            except Exception as error:  # noqa: BLE001 - a hint may be lost, the thread may not
                self._log.warning(
                    "hint.lost", events=len(ids), error=str(error)[:300], next="the sweeper sends them"
                )
                if self.breaker:
                    self.breaker.trip(error)
            self._pause.wait(max(0.0, sent_at + GAP_S - time.monotonic()))
