"""Goes through our own books for what takes too long, page by page."""

from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import Connection, Engine

from payouts import overdue
from payouts.difference import Finding
from payouts.overdue import ARRIVAL_GRACE_MS, ATTEMPT_OPEN_MS, SILENT_MS, STUCK_MS, Late
from payouts.storage import overdue_rows
from payouts.storage.queries import reading

PAGE = 500
_Fetch = Callable[[Connection, int, int], list[Late]]


def find_late(engine: Engine, now_ms: int, account: str | None = None) -> Iterator[list[Finding]]:
    """All that takes too long now, a page at a time; only of `account`, where one is given."""
    for fetch, tell in _rules(now_ms):
        after_id = 0
        while True:
            with reading(engine) as connection:
                rows = fetch(connection, after_id, PAGE)
            findings = [tell(row) for row in rows if account in (None, row.account)]
            if findings:
                yield findings
            if len(rows) < PAGE:
                break
            after_id = rows[-1].id


def _rules(now_ms: int) -> Iterator[tuple[_Fetch, Callable[[Late], Finding]]]:
    rows = overdue_rows
    for status, limit_ms in STUCK_MS.items():
        yield partial(rows.stuck_requests, status, now_ms - limit_ms), partial(overdue.stuck, status, now_ms)
    for under_way in rows.UNDER_WAY:
        yield partial(rows.overdue_payouts, under_way, now_ms - ARRIVAL_GRACE_MS), overdue.overdue
    yield partial(rows.silent_payouts, now_ms - SILENT_MS), partial(overdue.silent, now_ms)
    yield partial(rows.open_attempts, now_ms - ATTEMPT_OPEN_MS), partial(overdue.attempt_open, now_ms)
    yield rows.returned_restricted, overdue.returned_restricted
