"""Alerts about what failed: when it grows, and when it lies there for long. Not because it is there.

A cause is told of when its first event dies, and again at ten, a hundred, a thousand; anew once none of its
events is dead any more. What nobody decided on is told of after a while, and once a day while it lasts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.ids import IdMaker
from payouts.notices import NOTICES_DEAD
from payouts.storage.dead_queries import dead_by_cause, lock_told, tell, waiting
from payouts.storage.notice_queries import dead_channels
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.storage.unit import in_transaction

DAY_MS = 24 * 3_600_000
GROWN, DEAD_LONG, BLOCKED_LONG = "alert.events_dying", "alert.events_dead_long", "alert.events_blocked_long"


@dataclass(frozen=True, slots=True)
class FailureWatch:
    """Looks at what failed and writes alerts. Any number may look: each alert is written once."""

    engine: Engine
    make_id: IdMaker
    clock: Clock
    dead_age_ms: int
    blocked_age_ms: int

    def look(self) -> int:
        """Write the alerts that are due; returns how many there were, those written before included."""
        return in_transaction(self.engine, self._look)

    def _look(self, connection: Connection) -> int:
        now_ms = self.clock()
        found = [*_grown(connection, now_ms), *self._old(connection, now_ms), *_untold(connection, now_ms)]
        for notice in found:
            insert_platform_notice(connection, notice, self.make_id)
        return len(found)

    def _old(self, connection: Connection, now_ms: int) -> Iterator[PlatformNotice]:
        day, lies = now_ms // DAY_MS, waiting(connection)
        if lies.oldest_dead_ms is not None and lies.oldest_dead_ms <= now_ms - self.dead_age_ms:
            hours = (now_ms - lies.oldest_dead_ms) // 3_600_000
            text = (
                f"{lies.dead} dead events wait for a decision, the oldest for {hours} hours: "
                "`payouts dead groups`, then replay or ignore them"
            )
            yield PlatformNotice(DEAD_LONG, now_ms, text, str(day))
        if lies.oldest_blocked_ms is not None and lies.oldest_blocked_ms <= now_ms - self.blocked_age_ms:
            minutes = (now_ms - lies.oldest_blocked_ms) // 60_000
            text = (
                f"an event that came {minutes} minutes ago is blocked: "
                "`payouts event list --status deferred` says by what"
            )
            yield PlatformNotice(BLOCKED_LONG, now_ms, text, str(day))


def _untold(connection: Connection, now_ms: int) -> Iterator[PlatformNotice]:
    for channel, error in dead_channels(connection, now_ms - DAY_MS).items():
        text = (
            f"{channel} gave up on a notice: {error}. `payouts notice list --status dead` shows all, "
            f"`payouts notice retry --all --channel {channel}` sends them again"
        )
        yield PlatformNotice(
            NOTICES_DEAD, now_ms, text, f"{channel}:{now_ms // DAY_MS}", {"alert_key": channel}
        )


def _grown(connection: Connection, now_ms: int) -> Iterator[PlatformNotice]:
    counts = dict(dead_by_cause(connection))
    for cause in lock_told(connection, list(counts)):
        events = counts.get(cause.fingerprint, 0)
        size = 10 ** (len(str(events)) - 1) if events else 0
        if size > cause.told_size:
            said = f"{cause.error_class}: {cause.message}"[:300]
            how_many = "an event" if events == 1 else f"{events} events"
            text = f"{how_many} died of {said} (`payouts dead show {cause.fingerprint}`)"
            yield PlatformNotice(GROWN, now_ms, text, f"{cause.fingerprint}:{size}:{now_ms}")
        if size > cause.told_size or not size:
            tell(connection, cause.fingerprint, size)
