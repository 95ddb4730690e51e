"""Catch-up on the queue: the actor that walks a page further, and what begins the walks."""

from dataclasses import dataclass

import dramatiq

from payouts.logs import get_logger
from payouts.walking import Walker
from payouts.walks import Walks
from workers.messages import CATCH_UP, MAINTENANCE_QUEUE, Messages

LOOK_EVERY_S = 30.0
"""How often it is looked whether there was a gap, a walk is due, or one stands still."""


class CatchingUp:
    """What workers do to catch up: one page a message, which sends the next."""

    def __init__(self, walker: Walker, walks: Walks, messages: Messages) -> None:
        self._walker = walker
        self._walks = walks
        self._messages = messages
        self._log = get_logger()

    def declare(self, broker: dramatiq.Broker) -> None:
        """Make the actor known to `broker`."""
        dramatiq.actor(broker=broker, actor_name=CATCH_UP, queue_name=MAINTENANCE_QUEUE, max_retries=0)(
            self.step
        )

    def step(self, walk_id: int) -> None:
        """Walk a page."""
        try:
            following = self._walks.step(walk_id, self._walker)
            if following is not None:
                self._messages.catch_up(following)
        except Exception as error:  # noqa: BLE001 - the walk's row says where it is; the scheduler goes on
            said = {"error": str(error)[:300], "error_class": type(error).__name__}
            self._log.warning("catch_up.failed", walk_id=walk_id, **said)


@dataclass(frozen=True, slots=True)
class WalkStarter:
    """Begins walks when they are due, and goes on with one that lost its message."""

    walks: Walks
    messages: Messages

    def sweep(self) -> None:
        """Look for a gap; send what is due, unless the workers are behind."""
        self.walks.look()
        if self.messages.waiting(MAINTENANCE_QUEUE):
            return
        walk_id = self.walks.due()
        if walk_id is not None:
            self.messages.catch_up(walk_id)
