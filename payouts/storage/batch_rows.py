"""Runs of schedules: one row for a schedule and a day, and the partners it is about."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, tuple_, update

from payouts.due_days import Schedule
from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.money_tables import partners, payout_batches, payout_requests
from payouts.storage.paging import page
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.queries import Filters

OPEN, DONE = "open", "done"


@dataclass(frozen=True, slots=True)
class Batch:
    """One run: the day it is for, as ISO 8601."""

    id: int
    schedule: Schedule
    planned_for: str
    status: str

    def reference(self, partner: Partner) -> str:
        """The reference of what the run requests for a partner: there is only one of it."""
        return f"schedule:{self.id}:{partner.id}"


def begin(
    connection: Connection, schedule: Schedule, planned_for: str, make_id: IdMaker, now_ms: int
) -> Batch:
    """The run of `schedule` for this day: a new one, or the one that somebody began before."""
    columns = (
        *("id", "account", "schedule", "planned_for", "status", "partners", "requested", "skipped"),
        *("amounts", "created_at_ms"),
    )
    row = (make_id(), PLATFORM, schedule, planned_for, OPEN, 0, 0, 0, "{}", now_ms)
    insert_rows(connection, payout_batches, columns, [row], skip="planned_for")
    b = payout_batches.c
    query = _batches().where(b.account == PLATFORM, b.schedule == schedule, b.planned_for == planned_for)
    found = connection.execute(query).first()
    if found is None:
        raise RowIdTakenError(f"the row id of the {schedule} run for {planned_for} is taken")
    return _batch(found)


def open_batches(connection: Connection) -> list[Batch]:
    """Runs that were begun and not finished, the oldest first."""
    query = _batches().where(payout_batches.c.status == OPEN).order_by(payout_batches.c.planned_for)
    return [_batch(row) for row in connection.execute(query)]


def last_day(connection: Connection, schedule: Schedule, before: str) -> str | None:
    """The last day before `before` that this schedule was run for."""
    b = payout_batches.c
    query = select(func.max(b.planned_for)).where(
        b.account == PLATFORM, b.schedule == schedule, b.planned_for < before
    )
    last: str | None = connection.scalar(query)
    return last


def finish(connection: Connection, batch: Batch, partners_due: int, now_ms: int) -> None:
    """Write what came of a run, counted from its requests. Nothing happens if it was finished before."""
    r = payout_requests.c
    sums = connection.execute(
        select(r.currency, func.count().label("requests"), func.sum(r.amount_minor).label("amount_minor"))
        .where(r.batch_id == batch.id)
        .group_by(r.currency)
    ).all()
    requested = sum(row.requests for row in sums)
    connection.execute(
        update(payout_batches)
        .where(payout_batches.c.id == batch.id, payout_batches.c.status == OPEN)
        .values(
            status=DONE,
            partners=partners_due,
            requested=requested,
            skipped=partners_due - requested,
            amounts=json.dumps({row.currency: int(row.amount_minor) for row in sums}, sort_keys=True),
            finished_at_ms=now_ms,
        )
    )


def scheduled_partners(connection: Connection, schedule: Schedule, after_id: int, most: int) -> list[Partner]:
    """Partners with this schedule in the order of their ids behind `after_id`."""
    p = partners.c
    return PARTNERS.all(connection, PARTNERS.query(p.schedule == schedule, p.id > after_id).limit(most))


def requested_in(connection: Connection, batch: Batch, of: Collection[Partner]) -> set[int]:
    """The ids of those partners that the run has requested a payout for."""
    r = payout_requests.c
    keys = [(partner.account, batch.reference(partner)) for partner in of]
    return set(connection.scalars(select(r.partner_id).where(tuple_(r.account, r.reference).in_(keys))))


def batch_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Runs, newest first, with their amounts by currency."""
    rows = page(connection, select(*payout_batches.c), payout_batches, filters, limit)
    return [{**row, "amounts": json.loads(row["amounts"])} for row in rows]


def _batches() -> Any:
    b = payout_batches.c
    return select(b.id, b.schedule, b.planned_for, b.status)


def _batch(row: Sequence[Any]) -> Batch:
    return Batch(row[0], Schedule(row[1]), row[2], row[3])
