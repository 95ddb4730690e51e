"""One heap of what will happen later, each by the name of what to do and its arguments, so that it can be
written down and taken up again after a restart."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

from sandbox.clock import Clock
from sandbox.store import Changes

Action = Callable[..., None]
KIND = "timer"


class Timers:
    """What is due runs in order of its time, and of its making where the times are equal."""

    def __init__(self, clock: Clock, changes: Changes) -> None:
        self._clock = clock
        self._changes = changes
        self._heap: list[tuple[float, int, str, list[Any]]] = []
        self._made = 0
        self._actions: dict[str, Action] = {}
        self.earlier = asyncio.Event()
        """Set when the first timer became an earlier one."""

    def on(self, name: str, action: Action) -> None:
        self._actions[name] = action

    def after(self, wait_s: float, name: str, *arguments: Any) -> None:
        self._push(self._clock.now() + wait_s, self._made, name, list(arguments))

    def _push(self, due_s: float, number: int, name: str, arguments: list[Any]) -> None:
        self._made = max(self._made, number) + 1
        entry = (due_s, number, name, arguments)
        heapq.heappush(self._heap, entry)
        self._changes.put(KIND, str(number), "", list(entry))
        if self._heap[0] is entry:
            self.earlier.set()

    def restore(self, kept: list[Any]) -> None:
        due_s, number, name, arguments = kept
        self._made = max(self._made, number + 1)
        heapq.heappush(self._heap, (due_s, number, name, arguments))

    def next_due_s(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def run_next(self) -> None:
        """Run the first timer, due or not."""
        _, number, name, arguments = heapq.heappop(self._heap)
        self._changes.remove(KIND, str(number))
        self._actions[name](*arguments)

    def run_due(self) -> int:
        """Run everything that is due; how many that were."""
        ran = 0
        while self._heap and self._heap[0][0] <= self._clock.now():
            self.run_next()
            ran += 1
        return ran

    def __len__(self) -> int:
        return len(self._heap)
