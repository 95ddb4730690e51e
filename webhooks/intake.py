"""Group commit: all deliveries that wait share one INSERT, one COMMIT and one trip to Redis.

One flush is in flight while the next fills, so the batch grows with the load by itself and a lone
delivery on an idle service never waits for a timer. The event loop collects, one thread writes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from payouts.errors import PayoutsError, StoreUnavailableError
from payouts.meters import BATCH_BOUNDS, BATCH_EVENTS, BATCHES, Spread
from payouts.storage.inbox import NewEvent

FLUSH_MAX_EVENTS = 512
FLUSH_MAX_BYTES = 4 * 1024 * 1024
"""Well under the smallest max_allowed_packet in use (16 MiB), even where every byte is escaped."""

ANSWER_WITHIN_S = 2.5
"""No delivery waits longer than this for its group, whatever a store does. Stripe keeps what gets a 503."""

_STUCK = "the stores did not answer in time"

Write = Callable[[Sequence[NewEvent]], Mapping[int, PayoutsError]]
"""Makes events durable; returns those refused by delivery id, or raises for all of them."""
Waiter = tuple[NewEvent, asyncio.Future[None]]


class OverloadedError(PayoutsError):
    """More deliveries wait than the limit allows; Stripe will send this one again."""

    transient = True


@dataclass(slots=True)
class Intake:
    """Collects events and writes them in groups with `write`, which returns once they are durable."""

    write: Write
    max_waiting: int
    max_waiting_bytes: int
    sizes: Spread = field(default_factory=lambda: Spread(BATCHES, BATCH_EVENTS, BATCH_BOUNDS, "intake"))
    """Of the groups."""
    _waiting: list[Waiter] = field(default_factory=list)
    _waiting_bytes: int = 0
    _flushing: bool = False
    _stuck: bool = False
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="intake"), repr=False
    )

    async def accept(self, event: NewEvent) -> None:
        """Return once `event` is durable. Raises OverloadedError, or what `write` raised for its group."""
        if self._stuck:
            raise StoreUnavailableError(_STUCK)
        size = len(event.payload)
        if len(self._waiting) >= self.max_waiting or self._waiting_bytes + size > self.max_waiting_bytes:
            raise OverloadedError(f"{len(self._waiting)} deliveries wait already")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((event, done))
        self._waiting_bytes += size
        if not self._flushing:
            self._flushing = True
            # At the end of this turn of the loop: whatever else it reads now joins the same flush.
            loop.call_soon(self._start)
        too_late = loop.call_later(ANSWER_WITHIN_S, _turn_away, done)
        try:
            await done
        finally:
            too_late.cancel()

    async def close(self) -> None:
        """Write what waits, then stop. No delivery may come after this."""
        while self._flushing or self._waiting:  # noqa: ASYNC110 - once, at the end of the process
            await asyncio.sleep(0.005)
        self._thread.shutdown(wait=True)

    def _start(self) -> None:
        group = self._take()
        if not group:
            self._flushing = False
            return
        self.sizes.add([len(group)])
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(ANSWER_WITHIN_S, self._give_up, group)
        self._thread.submit(self._flush, loop, group, deadline)

    def _take(self) -> list[Waiter]:
        count = size = 0
        for event, _ in self._waiting[:FLUSH_MAX_EVENTS]:
            size += len(event.payload)
            if count and size > FLUSH_MAX_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= sum(len(event.payload) for event, _ in group)
        return group

    def _flush(
        self, loop: asyncio.AbstractEventLoop, group: list[Waiter], deadline: asyncio.TimerHandle
    ) -> None:
        refused: Mapping[int, BaseException]
        try:
            refused = self.write([event for event, _ in group])
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for it
            refused = {event.id: error for event, _ in group}
        loop.call_soon_threadsafe(self._finish, group, refused, deadline)

    def _finish(
        self, group: list[Waiter], refused: Mapping[int, BaseException], deadline: asyncio.TimerHandle
    ) -> None:
        deadline.cancel()
        self._stuck = False
        self._start()
        for event, done in group:
            if done.done():
                continue  # the sender hung up, or was told that it took too long
            error = refused.get(event.id)
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def _give_up(self, group: list[Waiter]) -> None:
        # Whether the group is durable will be known later; not telling anybody so is always safe. Until
        # then nobody else may begin to wait: there is no telling for how long.
        self._stuck = True
        for _, done in [*group, *self._waiting]:
            _turn_away(done)


def _turn_away(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_exception(StoreUnavailableError(_STUCK))
