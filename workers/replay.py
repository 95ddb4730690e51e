"""Replays on the queue: the actor that takes one further, and the sweeper that asks for it.

Live events go first: while messages of theirs wait, a replay waits too; and while they come now and then,
its steps are so small that one of them holds up no event for long, with a pause after each.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import dramatiq
from sqlalchemy import Engine

from payouts.clock import Clock
from payouts.logs import get_logger
from payouts.outcome import BatchResult
from payouts.replayer import RUN_AT_ONCE, Replayer
from payouts.storage.replay_rows import due_replays
from workers.messages import EVENTS_QUEUE, REPLAY, REPLAYS_QUEUE, Messages

TURN_S = 2.0
"""How long one message goes on with a replay: then others, or the end of the process, have their turn."""
YIELD_S = 0.05
BESIDE_LIVE = 20
"""Events of a step while live events come. A step holds the interpreter, row locks and the disk."""
REPLAYS_MOST = 100
SendOn = Callable[[BatchResult], None]


class Replaying:
    """What workers do with replays."""

    def __init__(
        self, replayer: Replayer, messages: Messages, send_on: SendOn, live_lately: Callable[[], bool]
    ) -> None:
        self._replayer = replayer
        self._messages = messages
        self._send_on = send_on
        self._live_lately = live_lately
        self._log = get_logger()

    def declare(self, broker: dramatiq.Broker) -> None:
        """Make the actor known to `broker`."""
        dramatiq.actor(broker=broker, actor_name=REPLAY, queue_name=REPLAYS_QUEUE, max_retries=0)(self.run)

    def run(self, replay_id: int) -> None:
        """Take a replay further for a while, and ask for the rest."""
        try:
            if self._go_on(replay_id):
                self._messages.replay(replay_id)
        except Exception as error:  # noqa: BLE001 - the replay's row says where it is; the sweeper goes on
            said = {"error": str(error)[:300], "error_class": type(error).__name__}
            self._log.warning("replay.failed", replay_id=replay_id, **said)

    def _go_on(self, replay_id: int) -> bool:
        until = time.monotonic() + TURN_S
        while time.monotonic() < until:
            if self._messages.waiting(EVENTS_QUEUE):
                time.sleep(YIELD_S)
                continue
            beside_live, began = self._live_lately(), time.monotonic()
            step = self._replayer.step(replay_id, BESIDE_LIVE if beside_live else RUN_AT_ONCE)
            took_s = time.monotonic() - began
            for result in step.results:
                self._send_on(result)
            if step.again_ms is None:
                return False
            wait_s = max(step.again_ms / 1000, took_s if beside_live else 0.0)
            time.sleep(min(wait_s, TURN_S))
        return True


@dataclass(frozen=True, slots=True)
class ReplaySweeper:
    """Asks for replays that are under way and that no message is at."""

    engine: Engine
    messages: Messages
    clock: Clock

    def sweep(self) -> int:
        """Send a message for each, unless messages wait; returns how many."""
        with self.engine.connect().execution_options(read_only=True) as connection:
            due = due_replays(connection, self.clock(), REPLAYS_MOST)
        if self.messages.waiting(REPLAYS_QUEUE) > len(due):
            return 0
        for replay_id in due:
            self.messages.replay(replay_id)
        return len(due)
