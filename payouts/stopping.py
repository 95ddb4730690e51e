"""How a process is told to stop: SIGTERM or SIGINT, noticed between two pieces of work."""

import queue
import signal
from collections.abc import Iterable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Set by a signal, waited for by the main thread.

    Not a `threading.Event`: its `set` takes a lock that the interrupted `wait` may hold at that moment,
    and the process would then never stop. A SimpleQueue's `put` may be called from a signal handler.
    """

    def __init__(self, signals: Iterable[signal.Signals] = STOP_SIGNALS) -> None:
        self._told: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._is_set = False
        for number in signals:
            signal.signal(number, lambda received, _: self._told.put(received))

    def set(self) -> None:
        """Ask for the stop without a signal."""
        self._told.put(0)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until told to stop, or for `timeout_s`; whether it was told."""
        if not self._is_set:
            try:
                self._told.get(timeout=timeout_s)
                self._is_set = True
            except queue.Empty:
                return False
        return True
