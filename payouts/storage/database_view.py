"""What the database knows of the service just now: some twenty rows by index, however large the tables."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, text

from payouts.holds import EVERYTHING, Hold
from payouts.recovery import Recovery
from payouts.storage import age_queries
from payouts.storage.age_queries import Dead, Waiting
from payouts.storage.hold_rows import active_on
from payouts.storage.queries import reading
from payouts.storage.recovery_rows import open_recovery
from payouts.storage.server_facts import ServerConnections, server_connections


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """What the database knows."""

    latency_ms: float
    """Of one short trip."""
    connections: ServerConnections | None
    events: Sequence[Waiting]
    """The oldest of each open status; as below."""
    requests: Sequence[Waiting]
    notices: Sequence[Waiting]
    dead_events: Dead
    """Counted up to COUNTED_MOST; as below."""
    dead_notices: Dead
    holds: Sequence[Hold]
    """Those that are active on everything: the kill switch, or a velocity limit."""
    recovery: Recovery | None
    """Open: nothing is sent."""


def database_view(engine: Engine) -> DatabaseView:
    """Look. Raises what SQLAlchemy raises."""
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))  # connects, so that the time below is that of one short trip
        began_s = time.monotonic()
        connection.execute(text("SELECT 1"))
        latency_ms = (time.monotonic() - began_s) * 1000
        return DatabaseView(
            latency_ms,
            server_connections(connection),
            age_queries.waiting_events(connection),
            age_queries.waiting_requests(connection),
            age_queries.waiting_notices(connection),
            age_queries.dead_events(connection),
            age_queries.dead_notices(connection),
            active_on(connection, [EVERYTHING]),
            open_recovery(connection),
        )
