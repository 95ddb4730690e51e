"""What stops all sending, as far as the database knows: one question for every transaction that sends."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from payouts.storage import maintenance_rows, recovery_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.maintenance_rows import WINDOWS
from payouts.storage.maintenance_tables import maintenance_windows
from payouts.storage.recovery_tables import recoveries
from payouts.window import Window


@dataclass(frozen=True, slots=True)
class Standing:
    """What is open now that stops all sending."""

    recovering: bool
    window: Window | None
    """The maintenance that is started."""


def standing(connection: Connection) -> Standing:
    """What stops all sending, read without a lock."""
    r, w = recoveries.c, maintenance_windows.c
    recovery = select(r.id).where(r.account == PLATFORM, r.open_key == recovery_rows.OPEN)
    window = select(w.id).where(
        w.account == PLATFORM, w.open_key == maintenance_rows.OPEN, w.started_at_ms.is_not(None)
    )
    found = connection.execute(
        select(recovery.scalar_subquery().label("recovery"), window.scalar_subquery().label("window"))
    ).one()
    started = None
    if found.window is not None:
        started = next(iter(WINDOWS.find(connection, w.id == found.window)), None)
    return Standing(found.recovery is not None, started)
