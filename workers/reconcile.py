"""Reconciling on the queue: the actor that compares an account a step further, and what begins the rounds."""

from dataclasses import dataclass

import dramatiq

from payouts.asked_comparing import compare_further
from payouts.logs import get_logger
from payouts.reconciling import Reconciler
from payouts.rounds import Rounds
from workers.messages import COMPARE, MAINTENANCE_QUEUE, RECONCILE, Messages

STEP_EVERY_S = 30.0
"""How often it is looked whether a round is due, or stands still."""


class Reconciling:
    """What workers do to compare accounts: one step a message, which sends the next."""

    def __init__(self, reconciler: Reconciler, rounds: Rounds, messages: Messages) -> None:
        self._reconciler = reconciler
        self._rounds = rounds
        self._messages = messages
        self._log = get_logger()

    def declare(self, broker: dramatiq.Broker) -> None:
        """Make the actor known to `broker`."""
        for name, work in ((RECONCILE, self.step), (COMPARE, self.compare)):
            dramatiq.actor(broker=broker, actor_name=name, queue_name=MAINTENANCE_QUEUE, max_retries=0)(work)

    def compare(self, account: str) -> None:
        """Compare an account that somebody asked for a step further."""
        try:
            if compare_further(self._reconciler, account):
                self._messages.compare_account(account)
        except Exception as error:  # noqa: BLE001 - its row says where it is; the next round goes on with it
            self._failed(account, error)

    def step(self, account: str) -> None:
        """Compare an account a step further."""
        try:
            following = self._rounds.step(account, self._reconciler)
            if following is not None:
                self._messages.reconcile_account(following)
        except Exception as error:  # noqa: BLE001 - the round's row says where it is; the scheduler goes on
            self._failed(account, error)

    def _failed(self, account: str, error: Exception) -> None:
        said = {"error": str(error)[:300], "error_class": type(error).__name__}
        self._log.warning("reconcile.failed", account=account, **said)


@dataclass(frozen=True, slots=True)
class RoundStarter:
    """Begins rounds when they are due, and goes on with one that lost its message."""

    rounds: Rounds
    messages: Messages

    def sweep(self) -> None:
        """Send what is due, unless the workers are behind."""
        if self.messages.waiting(MAINTENANCE_QUEUE):
            return
        account = self.rounds.due()
        if account is not None:
            self.messages.reconcile_account(account)
