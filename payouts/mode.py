"""The service's mode now: normal, or what stands in the way of normal, since when, by whom and why."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from payouts.emergency_state import Switched
from payouts.holds import EVERYTHING, HoldKind
from payouts.storage import hold_rows, maintenance_rows, recovery_rows
from payouts.storage.engine import is_unavailable
from payouts.storage.queries import reading
from payouts.window import BY_SETTING, SETTING_TEXT, WindowState


class Mode(StrEnum):
    """The modes, the gravest first."""

    EMERGENCY = "emergency"
    """A person or the setting switched it on: nothing is paid, webhooks go to the spill, reads are stale."""
    RECOVERY = "recovery"
    """The database was restored: nothing is sent until the gap is closed."""
    MAINTENANCE = "maintenance"
    """A window is started, or the setting is on: nothing is sent, and the API answers 503."""
    STOPPED = "stopped"
    """The kill switch: nothing is sent; all else goes on."""
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class ModeNow:
    """One mode that is on. `since_ms` None: by a setting, since the processes were started; or normal."""

    mode: Mode
    since_ms: int | None = None
    by: str | None = None
    reason: str | None = None
    by_setting: bool = False


NORMAL = ModeNow(Mode.NORMAL)


@dataclass(frozen=True, slots=True)
class Modes:
    """Tells the mode, for status, API and console."""

    engine: Engine
    emergency: Callable[[], Switched | None]
    maintenance_by_setting: bool = False

    def now(self) -> ModeNow:
        """The gravest mode that is on. Raises what a lost database raises, but not in emergency mode."""
        return self.all_now()[0]

    def all_now(self) -> list[ModeNow]:
        """All modes that are on, the gravest first; NORMAL alone where none is.

        In emergency mode, with a database that does not answer, that one alone.
        """
        switched = self.emergency()
        on = [] if switched is None else [_emergency(switched)]
        try:
            with reading(self.engine) as connection:
                on += self._of_database(connection)
        except (SQLAlchemyError, OSError) as error:
            if not on or not is_unavailable(error):
                raise
        return on or [NORMAL]

    def _of_database(self, connection: Connection) -> list[ModeNow]:
        on = []
        recovery = recovery_rows.open_recovery(connection)
        if recovery is not None:
            on.append(ModeNow(Mode.RECOVERY, recovery.began_at_ms, recovery.began_by, recovery.reason))
        window = maintenance_rows.open_window(connection)
        if window is not None and window.state == WindowState.STARTED:
            by, reason = window.started_by, window.start_reason
            on.append(
                ModeNow(Mode.MAINTENANCE, window.started_at_ms, by, reason, self.maintenance_by_setting)
            )
        elif self.maintenance_by_setting:
            on.append(ModeNow(Mode.MAINTENANCE, None, BY_SETTING, SETTING_TEXT, by_setting=True))
        for hold in hold_rows.active_on(connection, [EVERYTHING]):
            if hold.kind == HoldKind.KILL_SWITCH:
                on.append(ModeNow(Mode.STOPPED, hold.placed_at_ms, hold.placed_by, hold.reason))
        return on


def _emergency(switched: Switched) -> ModeNow:
    return ModeNow(Mode.EMERGENCY, switched.since_ms, switched.by, switched.reason, switched.by_setting)
