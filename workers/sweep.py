"""The sweeper: finds what was accepted and not finished, and sends it again.

The table is the truth. A hint that was lost (a wiped Redis, a crash between commit and send, a worker
killed in the middle) leaves a row that is open and overdue. While messages wait in the queue nothing is
sent: the workers are behind, not the hints lost.
"""

from dataclasses import dataclass

from sqlalchemy import Engine

from payouts.clock import Clock
from payouts.crash import crash_point
from payouts.logs import get_logger
from payouts.storage.inbox import Overdue, note_resend, overdue
from payouts.storage.partner_rows import held_up_accounts, unverified_accounts
from payouts.storage.request_rows import overdue_requests
from workers.messages import EVENTS_QUEUE, LOOKUPS_QUEUE, PAYOUTS_QUEUE, Messages

SWEEP_MOST = 2_000
IDS_PER_MESSAGE = 200
ALONE_FROM = 4
"""From this resend on an event goes alone: one that kills its worker must not take others with it."""
LONGEST_WAIT_MS = 600_000


REQUESTS_MOST = 500
PARTNERS_MOST = 100
ASK_AGAIN_MS = 3_600_000
HELD_UP_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class RequestSweeper:
    """Sends requests that are due to the workers. A message too many does no harm: the lease decides."""

    engine: Engine
    messages: Messages
    clock: Clock

    def sweep(self) -> int:
        """Send what is due, unless the workers are behind; returns how many."""
        if self.messages.waiting(PAYOUTS_QUEUE):
            return 0
        with self.engine.connect().execution_options(read_only=True) as connection:
            found = overdue_requests(connection, self.clock(), REQUESTS_MOST)
        for request_id in found:
            self.messages.send_payout(request_id)
        return len(found)


@dataclass(frozen=True, slots=True)
class PartnerSweeper:
    """Has Stripe asked about partners that were registered and not looked at yet."""

    engine: Engine
    messages: Messages

    def sweep(self) -> int:
        """Send them to the workers, unless those are behind; returns how many."""
        if self.messages.waiting(LOOKUPS_QUEUE):
            return 0
        with self.engine.connect().execution_options(read_only=True) as connection:
            found = unverified_accounts(connection, PARTNERS_MOST)
        for account in found:
            self.messages.refresh_partner(account)
        return len(found)


@dataclass(frozen=True, slots=True)
class HeldUpSweeper:
    """Has Stripe asked again about partners for whom requests wait although they cannot be paid: the event
    that says that one can be again may never come, or have come too early."""

    engine: Engine
    messages: Messages
    clock: Clock

    def sweep(self) -> int:
        """Send those not heard of for ASK_AGAIN_MS to the workers, unless those are behind; how many."""
        if self.messages.waiting(LOOKUPS_QUEUE):
            return 0
        with self.engine.connect().execution_options(read_only=True) as connection:
            found = held_up_accounts(connection, self.clock() - ASK_AGAIN_MS, PARTNERS_MOST)
        for account in found:
            self.messages.refresh_partner(account)
        return len(found)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Sends overdue events again. Any number may run: a hint sent twice does no harm."""

    engine: Engine
    messages: Messages
    clock: Clock
    grace_ms: int
    max_queued: int

    def sweep(self) -> int:
        """Send what is overdue by more than the grace time; returns how many."""
        if self.messages.waiting(EVENTS_QUEUE) > self.max_queued:
            return 0
        now_ms = self.clock()
        with self.engine.begin() as connection:
            found = overdue(connection, now_ms - self.grace_ms, SWEEP_MOST)
            note_resend(connection, {event.id: now_ms + self._wait_ms(event) for event in found})
        crash_point("sweep.before_send")
        together = [event.id for event in found if event.resends < ALONE_FROM]
        for start in range(0, len(together), IDS_PER_MESSAGE):
            self.messages.apply(together[start : start + IDS_PER_MESSAGE])
        for event in found:
            if event.resends >= ALONE_FROM:
                get_logger().warning("event.sent_again", inbox_id=event.id, resends=event.resends + 1)
                self.messages.apply_alone(event.id)
        if found:
            get_logger().info("sweep.sent", events=len(found))
        return len(found)

    def _wait_ms(self, event: Overdue) -> int:
        # Due now again; the grace time passes before the next sweep sends it. Then longer and longer.
        return int(min(self.grace_ms * (2.0 ** min(event.resends, 20) - 1), LONGEST_WAIT_MS))
