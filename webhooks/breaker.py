"""A short breaker for one store: after a failure nobody waits on it until a probe finds it back.

The usual kind lets a live request through now and then to find out. Here that request would be a whole
flush of deliveries waiting for a time-out, so a thread of its own asks instead.
"""

import threading
from collections.abc import Callable

from payouts.logs import get_logger

PROBE_EVERY_S = 0.5


class Breaker:
    """Closed: the store may be used. Open: it failed, and `probe` is tried every half second."""

    def __init__(self, name: str, probe: Callable[[], object], on_close: Callable[[], object]) -> None:
        self.name = name
        self._probe = probe
        self._on_close = on_close
        self._open = threading.Event()
        self._ended = threading.Event()
        self._log = get_logger()
        self._thread = threading.Thread(target=self._watch, name=f"breaker-{name}", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    def trip(self, error: BaseException) -> None:
        """Note a failure of the store."""
        if not self._open.is_set():
            self._log.warning("store.unavailable", store=self.name, error=str(error)[:300])
            self._open.set()

    def end(self) -> None:
        """Stop probing; for the end of the process."""
        self._ended.set()
        self._open.set()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self._open.wait()
            if self._ended.wait(PROBE_EVERY_S):
                return
            try:
                self._probe()
            except Exception as error:  # noqa: BLE001 - whatever it is, the store is not back
                self._log.debug("store.still_unavailable", store=self.name, error=str(error)[:300])
                continue
            self._open.clear()
            self._log.info("store.back", store=self.name)
            try:
                self._on_close()
            except Exception as error:  # noqa: BLE001 - the scheduler does the same work later
                self._log.warning("store.after_return_failed", store=self.name, error=str(error)[:300])
