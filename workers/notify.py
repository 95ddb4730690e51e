"""Notices on the queue: the actor that delivers what is due, and the sweeper that asks for it.

The hint names no notice: whoever gets it delivers whatever is due.
"""

from dataclasses import dataclass

import dramatiq
from sqlalchemy import Engine

from payouts.clock import Clock
from payouts.logs import get_logger
from payouts.storage.outbox_rows import is_due
from payouts.telling import Teller, prune
from workers.messages import DELIVER_NOTICES, NOTIFY_QUEUE, Messages

DAY_MS = 24 * 3_600_000


class Notifier:
    """What workers do when notices may be due."""

    def __init__(self, teller: Teller, messages: Messages) -> None:
        self._teller = teller
        self._messages = messages
        self._log = get_logger()

    def declare(self, broker: dramatiq.Broker) -> None:
        """Make the actor known to `broker`."""
        dramatiq.actor(broker=broker, actor_name=DELIVER_NOTICES, queue_name=NOTIFY_QUEUE, max_retries=0)(
            self.deliver
        )

    def deliver(self) -> None:
        """Deliver what is due, and ask for the rest."""
        try:
            if self._teller.tell():
                self._messages.deliver_notices()
        except Exception as error:  # noqa: BLE001 - the rows say when they are due; the sweeper asks again
            self._log.warning("notices.failed", error=str(error)[:300], error_class=type(error).__name__)


@dataclass(frozen=True, slots=True)
class NoticeSweeper:
    """Asks for what is due to be delivered, and lets go of what was delivered long ago."""

    engine: Engine
    messages: Messages
    clock: Clock
    channels: tuple[str, ...]
    keep_days: int

    def sweep(self) -> bool:
        """Send a hint if a notice is due; returns whether one was."""
        with self.engine.connect().execution_options(read_only=True) as connection:
            due = is_due(connection, self.channels, self.clock())
        if due:
            self.messages.deliver_notices()
        return due

    def prune(self) -> None:
        """Delete some of what was delivered more than `keep_days` ago."""
        gone = prune(self.engine, self.clock() - self.keep_days * DAY_MS)
        if gone:
            get_logger().info("notices.pruned", notices=gone)
