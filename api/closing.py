"""What closes the API for a while: maintenance, and emergency mode."""

import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.problems import ApiError
from api.schemas import Maintenance
from api.shapes import maintenance_shape
from payouts.clock import iso
from payouts.emergency_watch import EmergencyWatch
from payouts.storage.engine import is_unavailable
from payouts.storage.maintenance_rows import open_window
from payouts.storage.queries import reading
from payouts.window import Window, WindowState, retry_after_s

LOOK_EVERY_S = 1.0
"""How old what a process knows of the window may be: it is not asked for with every request."""
EMERGENCY_RETRY_AFTER_S = 60


class Closing:
    """What a process knows of both. Safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        *,
        by_setting: bool = False,
        emergency: EmergencyWatch | None = None,
        every_s: float = LOOK_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`by_setting`: maintenance is on, whatever is announced. No `emergency`: that mode is never on."""
        self._engine, self._by_setting, self._emergency = engine, by_setting, emergency
        self._every_s, self._monotonic = every_s, monotonic
        self._window: Window | None = None
        self._asked_s: float | None = None
        self._guard = threading.Lock()

    def in_emergency(self) -> bool:
        """Whether emergency mode is on: then the database is not asked."""
        return self._emergency is not None and self._emergency.is_on()

    def check(self, now_ms: int) -> None:
        """Raise ApiError 503 while maintenance is going on; also what a lost database raises."""
        window = self._looked_at()
        started = window is not None and window.state == WindowState.STARTED
        if not started and not self._by_setting:
            return
        shown = maintenance_shape(window, by_setting=self._by_setting)
        until = f", until {iso(window.ends_at_ms)} as far as is known" if window and started else ""
        raise ApiError(
            *(503, "maintenance", f"maintenance is going on{until}: {shown.text}"),
            headers={"Retry-After": str(retry_after_s(window if started else None, now_ms))},
            maintenance=shown,
        )

    def shown(self) -> Maintenance:
        """What is announced or going on. Raises what a lost database raises."""
        if self.in_emergency():
            if self._asked_s is None:
                raise emergency()
            return maintenance_shape(self._window, by_setting=self._by_setting)
        return maintenance_shape(self._looked_at(), by_setting=self._by_setting)

    def _looked_at(self) -> Window | None:
        with self._guard:
            now_s = self._monotonic()
            if self._asked_s is not None and now_s - self._asked_s < self._every_s:
                return self._window
        try:
            with reading(self._engine) as connection:
                found = open_window(connection)
        except (SQLAlchemyError, OSError) as error:
            # The database may well be away because of the maintenance.
            started = self._window is not None and self._window.state == WindowState.STARTED
            if is_unavailable(error) and (started or self._by_setting):
                return self._window
            raise
        with self._guard:
            self._window, self._asked_s = found, now_s
        return found


def emergency() -> ApiError:
    """What cannot be answered while emergency mode is on."""
    return ApiError(
        *(
            503,
            "emergency",
            "the service is in emergency mode, and cannot do or look up this: come back later",
        ),
        headers={"Retry-After": str(EMERGENCY_RETRY_AFTER_S)},
    )
