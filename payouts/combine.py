"""Adaptive batches: threads that bring work at the same time share one transaction.

The first thread to come leads: it takes what all the others brought and works on it, while those wait for
their part. Under load the batch grows by itself; lone work is done at once.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class _Ticket(Generic[In, Out]):
    __slots__ = ("brought", "done", "error", "result")

    def __init__(self, brought: In) -> None:
        self.brought = brought
        self.done = False
        self.error: BaseException | None = None
        self.result: Out | None = None


class Combiner(Generic[In, Out]):
    """Runs `work` on what all callers that wait brought, up to `most` at a time by `size`.

    `work` gives a result for each thing it was given. What one caller brings stays together, even if it is
    over `most`.
    """

    def __init__(
        self,
        work: Callable[[Sequence[In]], Sequence[Out]],
        most: int,
        size: Callable[[In], int] = lambda _: 1,
        *,
        coming: Callable[[], int] = lambda: 0,
        patience_s: float = 0.0,
    ) -> None:
        """`coming`: how many callers are likely to be here soon. While there are any, work that is ready
        waits for them up to `patience_s`."""
        self._coming = coming
        self._patience_s = patience_s
        self._work = work
        self._most = most
        self._size = size
        self._waiting: list[_Ticket[In, Out]] = []
        self._leading = threading.Lock()
        self._guard = threading.Condition(threading.Lock())

    def run(self, brought: In) -> Out:
        """Return the result once the work is done for `brought`. Raises what `work` raised for the batch."""
        ticket: _Ticket[In, Out] = _Ticket(brought)
        with self._guard:
            self._waiting.append(ticket)
            self._guard.notify_all()
        with self._leading:
            # The group that fits may be all older callers': lead until this one has had its turn too.
            while not ticket.done:
                self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result  # type: ignore[return-value]  # set by the leader, as no error was

    def _lead(self) -> None:
        group = self._take()
        results: Sequence[Out | None] = [None] * len(group)
        error: BaseException | None = None
        try:
            results = self._work([ticket.brought for ticket in group])
            if len(results) != len(group):
                raise AssertionError(f"{len(group)} brought, {len(results)} given")  # noqa: TRY301 - it ends like all else that goes wrong here
        except BaseException as raised:  # noqa: BLE001 - it belongs to everyone in the group
            error = raised
        for ticket, result in zip(group, results, strict=True):
            ticket.error = error
            ticket.result = result
            ticket.done = True

    def _take(self) -> list[_Ticket[In, Out]]:
        with self._guard:
            if self._patience_s:
                self._guard.wait_for(self._has_all, self._patience_s)
            count = size = 0
            for ticket in self._waiting:
                size += self._size(ticket.brought)
                if count and size > self._most:
                    break
                count += 1
            group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _has_all(self) -> bool:
        return not self._coming() or sum(self._size(ticket.brought) for ticket in self._waiting) >= self._most
