"""The books are checked on a schedule, by a worker: an alert for each thing that must be true and is not."""

import time
from functools import partial

import dramatiq
from sqlalchemy import Connection, Engine

from payouts.checking import check, count, note
from payouts.clock import Clock
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.storage.unit import in_transaction
from workers.messages import CHECK_LEDGER, MAINTENANCE_QUEUE

BROKEN = "alert.ledger_broken"
HOUR_MS = 3_600_000


class LedgerChecking:
    """What a worker does to check the books."""

    def __init__(self, engine: Engine, make_id: IdMaker, clock: Clock) -> None:
        self._engine = engine
        self._make_id = make_id
        self._clock = clock
        self._log = get_logger()

    def declare(self, broker: dramatiq.Broker) -> None:
        """Make the actor known to `broker`."""
        dramatiq.actor(broker=broker, actor_name=CHECK_LEDGER, queue_name=MAINTENANCE_QUEUE, max_retries=0)(
            self.check
        )

    def check(self) -> None:
        """Check every invariant and keep what was found, with the sums; each one that does not hold is an
        alert, at most once an hour."""
        began = time.monotonic()
        broken = []
        for finding in check(self._engine):
            note(self._engine, finding, self._make_id, self._clock())
            if finding.violations:
                broken.append(finding)
        count(self._engine, self._make_id, self._clock)
        for finding in broken:
            first = finding.violations[0]
            self._log.error("ledger.broken", invariant=finding.name, subject=first.subject, text=first.text)
            now_ms = self._clock()
            text = f"{finding.invariant.promise}: {first.text}. `payouts ledger check` shows all"
            occasion, about = f"{finding.name}:{now_ms // HOUR_MS}", {"alert_key": finding.name}
            notice = PlatformNotice(BROKEN, now_ms, text, occasion, about)
            in_transaction(self._engine, partial(self._tell, notice))
        self._log.info("ledger.checked", broken=len(broken), seconds=round(time.monotonic() - began, 1))

    def _tell(self, notice: PlatformNotice, connection: Connection) -> None:
        insert_platform_notice(connection, notice, self._make_id)
