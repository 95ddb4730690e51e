"""Time goes on: timers run when they are due, and when the clock is moved on."""

import asyncio

from sandbox.deliveries import Deliveries
from sandbox.world import World

STEP_S = 1.0
"""Where the next timer is at least so far ahead, deliveries under way come first: an advance of three days
then tells the story that three days would have told."""
DELIVERIES_WITHIN_S = 60.0
"""Real time for them."""


class Progress:
    def __init__(self, world: World, deliveries: Deliveries) -> None:
        self._world = world
        self._deliveries = deliveries
        self._advancing = asyncio.Lock()

    async def run(self) -> None:
        """Run what becomes due, until cancelled."""
        timers, clock = self._world.timers, self._world.clock
        while True:
            async with self._advancing:
                if timers.run_due():
                    self._world.changes.write()
            timers.earlier.clear()
            due_s = timers.next_due_s()
            try:
                async with asyncio.timeout(None if due_s is None else clock.real_wait_s(due_s)):
                    await timers.earlier.wait()
            except TimeoutError:
                pass

    async def advance(self, by_s: float) -> int:
        """Move the clock on, and run all that becomes due on the way at the time at which it is due; how many
        timers that were. What the last of them sends is under way when this returns."""
        world, ran = self._world, 0
        async with self._advancing:
            world.clock.hold()
            try:
                target_s = world.clock.now() + by_s
                while (due_s := world.timers.next_due_s()) is not None and due_s <= target_s:
                    if due_s - world.clock.now() >= STEP_S:
                        await self._deliveries_first()
                        due_s = min(due_s, world.timers.next_due_s() or due_s)
                    world.clock.jump_to(due_s)
                    world.timers.run_next()
                    ran += 1
                await self._deliveries_first()
                world.clock.jump_to(target_s)
            finally:
                world.clock.release()
                world.save_clock()
                world.changes.write()
                world.timers.earlier.set()
        return ran

    async def settle(self, within_s: float) -> bool:
        """Wait until nothing more will happen by itself: no timer left, no delivery under way. False where
        that took longer than `within_s` of real time."""
        try:
            async with asyncio.timeout(within_s):
                while self._deliveries.under_way or len(self._world.timers):
                    await self._deliveries.idle()
                    due_s = self._world.timers.next_due_s()
                    if due_s is not None:
                        await asyncio.sleep(min(self._world.clock.real_wait_s(due_s) + 0.001, 0.1))
        except TimeoutError:
            return False
        return True

    async def _deliveries_first(self) -> None:
        try:
            async with asyncio.timeout(DELIVERIES_WITHIN_S):
                await self._deliveries.idle()
        except TimeoutError:
            pass
