"""The timetable of maintenance, kept: operators are reminded, partners written to, and a report follows.

Any number of processes may look. What was told is in the outbox and is not told again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from payouts.clock import Clock, iso
from payouts.forewarning import Forewarner
from payouts.ids import IdMaker
from payouts.overview import Overview
from payouts.storage import activity_queries
from payouts.storage.age_queries import dead_events
from payouts.storage.maintenance_rows import latest_windows
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.timetable import REMINDER, REPORT, WATCHED_MS, reminders, report_is_due
from payouts.vitals import Part, Vital
from payouts.window import MAINTENANCE, Window

WATCHED_MINUTES = WATCHED_MS // 60_000


@dataclass(slots=True)
class MaintenanceClerk:
    """Keeps the timetable. `look_at_service(minutes)`: how it has been in the last so many minutes.

    `forewarner`: writes to partners; None: nobody is written to.
    """

    engine: Engine
    make_id: IdMaker
    clock: Clock
    look_at_service: Callable[[int], Overview]
    forewarner: Forewarner | None

    def look(self) -> None:
        """Do what is due, for a second or so."""
        now_ms = self.clock()
        with reading(self.engine) as connection:
            windows = latest_windows(connection)
        for window in windows:
            if window.over_at_ms is None:
                self._remind(window, now_ms)
            if self.forewarner is not None:
                self.forewarner.write(window)
            if report_is_due(window, now_ms):
                self._report(window)

    def _remind(self, window: Window, now_ms: int) -> None:
        for due in reminders(window, now_ms):
            about = {"window_id": str(window.id), "step": due.step}
            self._tell(PlatformNotice(REMINDER, now_ms, due.text, due.occasion, about))

    def _tell(self, notice: PlatformNotice) -> None:
        in_transaction(self.engine, lambda c: insert_platform_notice(c, notice, self.make_id))

    def _report(self, window: Window) -> None:
        key = f"{REPORT}:{window.id}"
        with reading(self.engine) as connection:
            if activity_queries.told(connection, {key}):
                return
            dead, waiting = dead_events(connection).count, activity_queries.held_up(connection, MAINTENANCE)
        seen = self.look_at_service(WATCHED_MINUTES)
        about = {"window_id": str(window.id), "level": str(seen.level)}
        text = report_text(window, seen, dead, waiting)
        self._tell(PlatformNotice(REPORT, self.clock(), text, str(window.id), about))


def report_text(window: Window, seen: Overview, dead: int, waiting: int) -> str:
    """How the service has been since maintenance ended, in a few sentences."""
    signs = "; ".join(
        f"{_WORDS[sign.vital]} {_value(sign.vital, sign.worst)} ({sign.level})" for sign in seen.signs
    )
    away = [each.name for each in seen.dependencies if each.answers is False]
    lacks = [f"no {role} is seen" for role in seen.missing] + [f"{name} does not answer" for name in away]
    return (
        f"{WATCHED_MINUTES} minutes after the maintenance that ended {iso(window.over_at_ms)}, all in all: "
        f"{seen.level}. {signs}. {'; '.join(lacks) or 'All processes and dependencies are there'}. "
        f"{dead} dead events, {waiting} payouts that still wait for maintenance."
    )


def _value(vital: Vital, worst: Part | None) -> str:
    if worst is None:
        return "–"
    return f"{worst.value:.0f} ms" if vital == Vital.P95_LATENCY else f"{worst.value * 100:.2f} %"


_WORDS = {
    Vital.ERROR_RATE: "error rate",
    Vital.P95_LATENCY: "p95 latency",
    Vital.DATABASE_CONNECTIONS: "database connections",
    Vital.MEMORY: "memory",
    Vital.RATE_LIMIT_HITS: "rate-limit hits",
}
