"""The timetable of maintenance, kept: operators are reminded, partners written to, and a report follows.

Any number of processes may look. What was told is in the outbox and is not told again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.ids import IdMaker
from payouts.overview import Overview
from payouts.partner import Partner, PartnerState
from payouts.storage import activity_queries
from payouts.storage.age_queries import dead_events
from payouts.storage.maintenance_rows import latest_windows
from payouts.storage.partner_notices import (
    PartnerNotice,
    PlatformNotice,
    insert_partner_notice,
    insert_platform_notice,
)
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.timetable import (
    DAY_MS,
    REMINDER,
    REPORT,
    WATCHED_MS,
    reminders,
    report_is_due,
    takes_it_back,
    writes_to_partners,
)
from payouts.vitals import Part, Vital
from payouts.window import MAINTENANCE, Window

PARTNERS_AT_ONCE = 200
STEP_MS = 1_000
"""How long one look goes on with partners: the scheduler has other things to do in between."""
ACTIVE_DAYS = 30
PLANNED, CALLED_OFF = "partner.maintenance_planned", "partner.maintenance_called_off"
WATCHED_MINUTES = WATCHED_MS // 60_000


@dataclass(slots=True)
class MaintenanceClerk:
    """Keeps the timetable. `look_at_service(minutes)`: how it has been in the last so many minutes.

    `least_payouts`: whoever had as many in the last 30 days is written to; 0: nobody is.
    """

    engine: Engine
    make_id: IdMaker
    clock: Clock
    look_at_service: Callable[[int], Overview]
    least_payouts: int
    _written: dict[str, int | None] = field(default_factory=dict)
    """By occasion the partner that was looked at last; None: all were. After a restart all are again."""

    def look(self) -> None:
        """Do what is due, for a second or so."""
        now_ms = self.clock()
        with reading(self.engine) as connection:
            windows = latest_windows(connection)
        for window in windows:
            if window.over_at_ms is None:
                self._remind(window, now_ms)
            if self.least_payouts and writes_to_partners(window, now_ms):
                self._write_to_partners(window, PLANNED)
            if self.least_payouts and takes_it_back(window, now_ms):
                self._write_to_partners(window, CALLED_OFF)
            if report_is_due(window, now_ms):
                self._report(window)

    def _remind(self, window: Window, now_ms: int) -> None:
        for due in reminders(window, now_ms):
            about = {"window_id": str(window.id), "step": due.step}
            self._tell(PlatformNotice(REMINDER, now_ms, due.text, due.occasion, about))

    def _tell(self, notice: PlatformNotice) -> None:
        in_transaction(self.engine, lambda c: insert_platform_notice(c, notice, self.make_id))

    def _write_to_partners(self, window: Window, name: str) -> None:
        occasion = f"{name}:{window.id}:{window.starts_at_ms}"
        until_ms = self.clock() + STEP_MS
        while self.clock() <= until_ms:
            after = self._written.setdefault(occasion, 0)
            if after is None:
                return
            work = partial(self._page, window=window, name=name, after=after)
            self._written[occasion] = in_transaction(self.engine, work)

    def _page(self, connection: Connection, *, window: Window, name: str, after: int) -> int | None:
        now_ms = self.clock()
        page = activity_queries.partners_after(connection, after, PARTNERS_AT_ONCE)
        planned = [_notice(partner, PLANNED, window, now_ms) for partner in page]
        if name == PLANNED:
            often = self._often_paid(connection, page, now_ms)
            wanted = [notice for notice in planned if notice.partner.id in often]
        else:
            told = activity_queries.told(connection, {notice.dedupe_key for notice in planned})
            wanted = [_notice(n.partner, name, window, now_ms) for n in planned if n.dedupe_key in told]
        for notice in wanted:
            insert_partner_notice(connection, notice, self.make_id)
        return page[-1].id if len(page) == PARTNERS_AT_ONCE else None

    def _often_paid(self, connection: Connection, page: list[Partner], now_ms: int) -> set[int]:
        since_ms = now_ms - ACTIVE_DAYS * DAY_MS
        paid = {partner.id for partner in page if partner.state != PartnerState.BLOCKED}
        return activity_queries.often_paid(connection, paid, since_ms, self.least_payouts)

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


def _notice(partner: Partner, name: str, window: Window, now_ms: int) -> PartnerNotice:
    about = {
        "window_id": str(window.id),
        "starts_at": iso(window.starts_at_ms),
        "ends_at": iso(window.ends_at_ms),
        "window_text": window.text,
    }
    occasion = f"{window.id}:{window.starts_at_ms}"
    return PartnerNotice(name, partner, now_ms, f"maintenance, {window.span}", occasion, about)


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
