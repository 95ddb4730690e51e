"""One look at the service for all pages that are open: fifty of them cost no more than one."""

import threading

from payouts.clock import Clock
from payouts.overview import Overview, Overviewer

KEPT_FOR_MS = 2_000


class Looks:
    """Keeps the last look for each number of hours. Safe to share between threads."""

    def __init__(self, overviewer: Overviewer, clock: Clock) -> None:
        self._overviewer, self._clock = overviewer, clock
        self._kept: dict[int, Overview] = {}
        self._lock = threading.Lock()

    def look(self, hours: int) -> Overview:
        """How the service is, at most KEPT_FOR_MS ago. Never raises for what is away."""
        with self._lock:  # whoever waits here gets what the first one saw
            found = self._kept.get(hours)
            if found is None or not 0 <= self._clock() - found.at_ms < KEPT_FOR_MS:
                found = self._kept[hours] = self._overviewer.look(hours)
            return found
