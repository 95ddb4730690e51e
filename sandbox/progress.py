"""Time goes on: timers run when they are due, and when the clock is moved on."""

import asyncio
import math
import time

from sandbox.deliveries import Deliveries
from sandbox.world import World

STEP_S = 1.0
"""Where the next timer is at least so far ahead, deliveries under way come first: an advance of three days
then tells the story that three days would have told."""
LOOK_EVERY_S = 0.02
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
                while (due_s := await self._next_due_s(target_s)) <= target_s:
                    world.clock.jump_to(due_s)
                    world.timers.run_next()
                    ran += 1
                world.clock.jump_to(target_s)
            finally:
                world.clock.release()
                world.save_clock()
                world.changes.write()
                world.timers.earlier.set()
        return ran

    async def settle(self, within_s: float) -> bool:
        """Wait until nothing more will happen by itself: no timer left, no delivery under way. False where
        that takes longer than `within_s` of real time, and at once where the next timer is farther away."""
        deadline_s = time.monotonic() + within_s
        try:
            async with asyncio.timeout(within_s):
                while self._deliveries.under_way or len(self._world.timers):
                    await self._deliveries.idle()
                    wait_s = self._wait_s()
                    if wait_s > deadline_s - time.monotonic():
                        return False
                    await asyncio.sleep(min(wait_s, LOOK_EVERY_S))
        except TimeoutError:
            return False
        return True

    async def _next_due_s(self, target_s: float) -> float:
        """When the next timer is due. What is under way may set an earlier one, so before a step it ends."""
        timers = self._world.timers
        due_s = timers.next_due_s()
        if due_s is None or due_s > target_s or due_s - self._world.clock.now() >= STEP_S:
            await self._deliveries_first()
            due_s = timers.next_due_s()
        return math.inf if due_s is None else due_s

    def _wait_s(self) -> float:
        due_s = self._world.timers.next_due_s()
        return 0.0 if due_s is None else self._world.clock.real_wait_s(due_s)

    async def _deliveries_first(self) -> None:
        try:
            async with asyncio.timeout(DELIVERIES_WITHIN_S):
                await self._deliveries.idle()
        except TimeoutError:
            pass
