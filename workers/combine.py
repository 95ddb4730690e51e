"""Adaptive batches: threads that hold messages at the same time share one transaction.

The first thread to come leads: it takes what all the others brought and applies it, while those wait for
their part. Under load the batch grows by itself; a lone message is applied at once.
"""

import threading
from collections.abc import Callable, Sequence


class _Ticket:
    __slots__ = ("done", "error", "ids")

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self.done = False
        self.error: BaseException | None = None


class Combiner:
    """Runs `work` on the ids of all callers that wait, up to `most` at a time (more in one call stay one)."""

    def __init__(self, work: Callable[[Sequence[int]], None], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: list[_Ticket] = []
        self._leading = threading.Lock()
        self._guard = threading.Lock()

    def run(self, ids: Sequence[int]) -> None:
        """Return once `work` has been done for `ids`. Raises what `work` raised for the batch."""
        ticket = _Ticket(ids)
        with self._guard:
            self._waiting.append(ticket)
        with self._leading:
            # The group that fits may be all older callers': lead until this one has had its turn too.
            while not ticket.done:
                self._lead()
        if ticket.error is not None:
            raise ticket.error

    def _lead(self) -> None:
        group = self._take()
        error: BaseException | None = None
        try:
            self._work([inbox_id for ticket in group for inbox_id in ticket.ids])
        except BaseException as raised:  # noqa: BLE001 - it belongs to everyone in the group
            error = raised
        for ticket in group:
            ticket.error = error
            ticket.done = True

    def _take(self) -> list[_Ticket]:
        with self._guard:
            count = size = 0
            for ticket in self._waiting:
                size += len(ticket.ids)
                if count and size > self._most:
                    break
                count += 1
            group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group
