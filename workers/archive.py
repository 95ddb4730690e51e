"""Archiving on the queue: the actor that archives a step's worth of old payloads and asks for the next."""

import dramatiq

from payouts.archiving import Archiver
from payouts.logs import get_logger
from workers.messages import ARCHIVE, MAINTENANCE_QUEUE, Messages


class Archiving:
    """What workers do to archive: one step a message, which sends the next while there is something left."""

    def __init__(self, archiver: Archiver, messages: Messages) -> None:
        self._archiver = archiver
        self._messages = messages
        self._log = get_logger()

    def declare(self, broker: dramatiq.Broker) -> None:
        """Make the actor known to `broker`."""
        dramatiq.actor(broker=broker, actor_name=ARCHIVE, queue_name=MAINTENANCE_QUEUE, max_retries=0)(
            self.step
        )

    def step(self) -> None:
        """Archive some of what is old."""
        try:
            if self._archiver.step().taken:
                self._messages.archive()
        except Exception as error:  # noqa: BLE001 - nothing left its row; the scheduler asks again
            said = {"error": str(error)[:300], "error_class": type(error).__name__}
            self._log.warning("archive.failed", **said, next="asked again after ARCHIVE_INTERVAL_S")
