"""Events that are dead and come again because somebody resent them at Stripe: they run once more.

Not in the receiver, which must wait for nobody's lock: it only notes the delivery.
"""

from sqlalchemy import Engine

from payouts.clock import Clock
from payouts.ids import floor_id
from payouts.logs import get_logger
from payouts.redelivery import AGAIN_WITHIN_MS
from payouts.storage.resend_rows import deliveries_after, reopen_dead
from payouts.storage.unit import in_transaction

LOOK_BACK_MS = 24 * 3_600_000
"""How far back a new process looks: what was taken up before is not dead any more, or died since."""
AT_ONCE = 500
SETTLE_MS = 60_000
"""Row ids are drawn a little before their rows are there: the newest are looked at again."""


class Reopener:
    """Looks through repeated deliveries as they come. Any number may: each event is taken up once."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._after_id = floor_id(clock() - LOOK_BACK_MS)

    def look(self) -> list[int]:
        """Open dead events that were resent; their inbox ids, to be applied."""
        found: list[int] = []
        while True:
            with self._engine.connect().execution_options(read_only=True) as connection:
                delivered = deliveries_after(connection, self._after_id, AT_ONCE)
            if delivered:
                found += in_transaction(
                    self._engine,
                    lambda connection, some=delivered: reopen_dead(  # type: ignore[misc]
                        connection, some, AGAIN_WITHIN_MS, self._clock()
                    ),
                )
            if len(delivered) < AT_ONCE:
                self._after_id = max(self._after_id, floor_id(self._clock() - SETTLE_MS))
                break
            self._after_id = delivered[-1].id
        if found:
            get_logger().info("events.resent", events=len(found))
        return found
