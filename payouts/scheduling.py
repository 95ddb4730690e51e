"""Schedules: payouts of all that is due, requested by themselves on a partner's day.

A run for a day is a row. Every request of it carries a reference made of the run and the partner, so a run
that is begun again after a crash, or worked on in two places, still asks once. Days that were missed are
caught up together: one request, not one for each of them.
"""

from dataclasses import dataclass, field
from datetime import date
from functools import partial

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.crash import crash_point
from payouts.due_days import Schedule, day_of_ms, was_due
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.requesting import Source, Wish, request_payout
from payouts.storage import batch_rows
from payouts.storage.batch_rows import Batch
from payouts.storage.engine import is_unavailable
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction

PARTNERS_AT_ONCE = 100
STEP_MS = 1_000
"""How long one step goes on: the scheduler has other things to do in between."""
_USUAL = frozenset({"nothing_due", "below_minimum"})
BY_SCHEDULE = Actor("system:schedule", None, None, frozenset({Scope.REQUEST}))


@dataclass
class _Progress:
    """How far this process is with a run; after a restart it looks at every partner again."""

    batch: Batch
    after: date | None
    """The day of the run before."""
    partner_id: int = 0
    due: int = 0


@dataclass
class Schedules:
    """Works on the runs of today and those left open, step by step. Any number may run."""

    engine: Engine
    clock: Clock
    make_id: IdMaker
    _under_way: _Progress | None = None
    _done_on: date | None = field(default=None)

    def step(self) -> bool:
        """Go on for a second at the most; whether there is more to do."""
        until_ms = self.clock() + STEP_MS
        while self.clock() <= until_ms:
            if self._under_way is None:
                self._under_way = self._next()
            if self._under_way is None:
                return False
            if self._page(self._under_way):
                self._under_way = None
        return True

    def run(self) -> None:
        """All there is to do now."""
        while self.step():
            pass

    def _next(self) -> _Progress | None:
        """The next run to work on: what was left open before, then those of today."""
        today = day_of_ms(self.clock())
        if self._done_on == today:
            return None
        for schedule in Schedule:
            in_transaction(self.engine, partial(self._begin, schedule=schedule, today=today))
        with reading(self.engine) as connection:
            batch = next(iter(batch_rows.open_batches(connection)), None)
            if batch is None:
                self._done_on = today
                return None
            before = batch_rows.last_day(connection, batch.schedule, batch.planned_for)
        return _Progress(batch, date.fromisoformat(before) if before else None)

    def _begin(self, connection: Connection, *, schedule: Schedule, today: date) -> Batch:
        return batch_rows.begin(connection, schedule, today.isoformat(), self.make_id, self.clock())

    def _page(self, progress: _Progress) -> bool:
        """Ask for the next partners; whether these were the last."""
        batch = progress.batch
        with reading(self.engine) as connection:
            page = batch_rows.scheduled_partners(
                connection, batch.schedule, progress.partner_id, PARTNERS_AT_ONCE
            )
            due = [partner for partner in page if _is_due(partner, progress)]
            asked = batch_rows.requested_in(connection, batch, due)
        for partner in due:
            if partner.id not in asked:
                self._ask(partner, batch)
                crash_point("schedule.between_partners")
        progress.due += len(due)
        if len(page) == PARTNERS_AT_ONCE:
            progress.partner_id = page[-1].id
            return False
        in_transaction(
            self.engine,
            partial(batch_rows.finish, batch=batch, partners_due=progress.due, now_ms=self.clock()),
        )
        get_logger().info(
            "schedule.done", schedule=batch.schedule, planned_for=batch.planned_for, partners=progress.due
        )
        return True

    def _ask(self, partner: Partner, batch: Batch) -> None:
        wish = Wish(
            partner.id,
            amount_minor=None,
            source=Source.SCHEDULE,
            reference=batch.reference(partner),
            minimum_minor=partner.schedule_minimum_minor or 0,
            batch_id=batch.id,
        )

        def work(connection: Connection) -> None:
            request_payout(connection, wish, BY_SCHEDULE, self.make_id, self.clock())

        log = get_logger().bind(partner_id=partner.id, batch_id=batch.id)
        try:
            in_transaction(self.engine, work)
        except RefusedError as refused:
            (log.debug if refused.code in _USUAL else log.info)("schedule.skipped", why=refused.code)
        except Exception as error:
            if is_unavailable(error):
                raise
            # Whatever it is about this partner: the others are paid all the same.
            log.exception("schedule.failed", error_class=type(error).__name__)


def _is_due(partner: Partner, progress: _Progress) -> bool:
    until = date.fromisoformat(progress.batch.planned_for)
    since = day_of_ms(partner.created_at_ms)
    after = progress.after
    if after is not None and after < since:
        return was_due(progress.batch.schedule, partner.schedule_day, _day_before(since), until)
    return was_due(progress.batch.schedule, partner.schedule_day, after, until)


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)
