"""Events that cannot be resolved from themselves: Stripe is asked, outside any transaction, and believed."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from payouts.apply import Applier
from payouts.batch import ACCOUNT_TYPES, BLOCKED_WAIT_MS, Batch
from payouts.errors import GatewayError, PayloadUnavailableError
from payouts.event import THIN, PayoutObject, read_payout, read_related
from payouts.gateway import StripeGateway
from payouts.ids import time_of
from payouts.outcome import BatchResult
from payouts.pause import Pause
from payouts.refreshing import Refresher, is_covered
from payouts.storage.columns import PLATFORM
from payouts.storage.engine import is_unavailable
from payouts.storage.inbox import WorkItem
from payouts.storage.partner_rows import registered_accounts
from payouts.storage.queries import reading

UNANSWERED_WAIT_MS = 60_000
"""How long, on the average, an event waits whose question Stripe did not answer."""
_Settle = Callable[[Batch, WorkItem], BatchResult]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Fetches what a deferred event is about, then decides on it again."""

    applier: Applier
    gateway: StripeGateway
    pause: Pause = field(default_factory=Pause)

    @property
    def refresher(self) -> Refresher:
        """What asks for the accounts of partners."""
        rules = self.applier.rules
        return Refresher(self.applier.engine, self.gateway, rules.make_id, rules.clock)

    def resolve(self, inbox_id: int) -> BatchResult:
        """Ask Stripe about one event and settle it by the answer. Nothing happens if it is finished."""
        with self.applier.engine.begin() as connection:
            item = self.applier.lock_one(connection, inbox_id)
        if item is None:
            return BatchResult()
        if self.pause.is_open(self.applier.rules.clock()):
            silent = GatewayError("Stripe does not answer just now; it is asked again", transient=True)
            return self._unanswered(inbox_id, silent)
        try:
            if item.type.startswith(ACCOUNT_TYPES):
                if not self._asked_since(item):
                    self.refresher.refresh(item.account)
                    self.pause.answered()
                return self._with_item(
                    inbox_id, lambda batch, held: batch.finish_one(held, "the account was asked for")
                )
            fetched = self._fetch(item)
            self.pause.answered()
            return self._with_item(
                inbox_id, lambda batch, held: batch.settle([(held, fetched)], confirmed=True)
            )
        except Exception as error:
            if is_unavailable(error):
                raise
            if isinstance(error, GatewayError) and not error.transient:
                self.pause.answered()
            return self._not_settled(inbox_id, error)

    def _asked_since(self, item: WorkItem) -> bool:
        # One answer settles all events of the account that came before its question.
        with self.applier.engine.connect() as connection:
            asked_at_ms = registered_accounts(connection, [item.account]).get(item.account)
        return is_covered(time_of(item.id), asked_at_ms)

    def _fetch(self, item: WorkItem) -> PayoutObject:
        with reading(self.applier.engine) as connection:
            payload = self.applier.rules.payloads.open(connection, item.id, item.payload)
        if item.kind == THIN:
            related = read_related(payload)
            payout_id = related.id if related else ""
        else:
            payout_id = read_payout(payload).id
        return self.gateway.payout(payout_id, None if item.account == PLATFORM else item.account)

    def _not_settled(self, inbox_id: int, error: Exception) -> BatchResult:
        held_up = isinstance(error, GatewayError) and (error.blocked or error.no_access)
        if held_up or isinstance(error, PayloadUnavailableError):
            return self._put_off(inbox_id, str(error), BLOCKED_WAIT_MS)
        if isinstance(error, GatewayError) and error.transient:
            self.pause.unanswered(self.applier.rules.clock())
            return self._unanswered(inbox_id, error)
        return self._with_item(inbox_id, lambda batch, held: batch.fail_one(held, error))

    def _unanswered(self, inbox_id: int, error: GatewayError) -> BatchResult:
        """No fault of the event's: it waits, and never dies of it. A replay waits by itself."""
        if self.applier.replay:
            raise error
        return self._put_off(inbox_id, str(error), _wait_ms())

    def _put_off(self, inbox_id: int, reason: str, wait_ms: int) -> BatchResult:
        return self._with_item(inbox_id, lambda batch, held: batch.defer_one(held, reason, wait_ms))

    def _with_item(self, inbox_id: int, settle: _Settle) -> BatchResult:
        def work(connection: Connection) -> BatchResult:
            # Locked and checked again: it may have been settled while Stripe was asked.
            held = self.applier.lock_one(connection, inbox_id)
            return settle(Batch(self.applier.rules, connection), held) if held else BatchResult()

        return self.applier.in_one_transaction(work)


def _wait_ms() -> int:
    return int(UNANSWERED_WAIT_MS * random.uniform(0.5, 1.5))  # so that not all come back together
