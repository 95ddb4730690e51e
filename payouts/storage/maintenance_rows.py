"""Maintenance windows as rows."""

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from payouts.errors import RowIdTakenError
from payouts.storage.columns import PLATFORM
from payouts.storage.maintenance_tables import maintenance_windows
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records
from payouts.window import Window

OPEN = "open"
LATEST = 10
WINDOWS = Records(
    maintenance_windows, Window, fixed={"id", "account", "announced_at_ms", "announced_by"}, reads={}
)


def open_window(connection: Connection) -> Window | None:
    """The window that is announced or started, read without a lock."""
    w = maintenance_windows.c
    return next(iter(WINDOWS.find(connection, w.account == PLATFORM, w.open_key == OPEN)), None)


def lock_window(connection: Connection, window_id: int) -> Window | None:
    """One window, locked; None where there is none of this id."""
    return next(iter(WINDOWS.lock(connection, maintenance_windows.c.id, [window_id])), None)


def insert_window(connection: Connection, window: Window) -> None:
    """Insert one. RowIdTakenError where somebody else announced one at the same time."""
    try:
        WINDOWS.insert(connection, [window])
    except IntegrityError:
        raise RowIdTakenError("somebody announced maintenance at the same time") from None


def latest_windows(connection: Connection) -> list[Window]:
    """The newest few, whatever their state, newest first."""
    w = maintenance_windows.c
    return WINDOWS.all(connection, WINDOWS.query().order_by(None).order_by(w.id.desc()).limit(LATEST))


def window_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """All windows, newest first, each with its `state`."""
    columns = [maintenance_windows.c[name] for name in WINDOWS.columns]
    rows = page(connection, select(*columns), maintenance_windows, filters, limit)
    return [{**row, "state": Window(**row).state} for row in rows]
