"""What metrics tell of the tables: counts up to a bound and single rows, each from an index."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from payouts.ids import time_of
from payouts.states import PayoutStatus, RequestStatus
from payouts.storage.catch_up_tables import catch_up_marks
from payouts.storage.check_rows import checks
from payouts.storage.difference_tables import differences
from payouts.storage.money_tables import payout_requests
from payouts.storage.tables import inbox, payouts

COUNTED_MOST = 10_000
"""Rows of a state are counted up to here: what matters is that there are so many."""
DIFFERENCES_MOST = 1_000
PAYOUTS_UNDER_WAY = (PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT)
REQUESTS_NOT_OVER = (
    RequestStatus.AWAITING_APPROVAL,
    RequestStatus.QUEUED,
    RequestStatus.SENDING,
    RequestStatus.SENT,
    RequestStatus.RETURNED,
    RequestStatus.REVERSING,
    RequestStatus.UNCLEAR,
)
"""What is over only grows; that is counted as it happens, for no index counts a whole table cheaply."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What the last checks of the books found: violations by invariant, and when the oldest check was."""

    violations: Mapping[str, int]
    oldest_ms: int | None


def payouts_by_status(connection: Connection) -> dict[str, int]:
    """Payouts that are under way."""
    return {status: _count(connection, payouts, status) for status in PAYOUTS_UNDER_WAY}


def requests_by_status(connection: Connection) -> dict[str, int]:
    """Requested payouts that are not over."""
    return {status: _count(connection, payout_requests, status) for status in REQUESTS_NOT_OVER}


def open_differences(connection: Connection) -> int:
    """Differences that are not healed, up to DIFFERENCES_MOST."""
    some = select(differences.c.id).where(differences.c.healed_at_ms.is_(None)).limit(DIFFERENCES_MOST)
    return connection.scalar(select(func.count()).select_from(some.subquery())) or 0


def last_checks(connection: Connection) -> Checks:
    """What the last check of each invariant found."""
    found = checks(connection)
    oldest_ms = min((row.checked_at_ms for row in found.values()), default=None)
    return Checks({name: row.violations for name, row in found.items()}, oldest_ms)


def last_event_ms(connection: Connection) -> int | None:
    """When the last event came into the inbox; None where none ever did."""
    last = connection.scalar(select(func.max(inbox.c.id)))
    return None if last is None else time_of(last)


def walked_until_s(connection: Connection) -> int | None:
    """Up to when the account is walked that was walked the longest ago; None where none ever was."""
    m = catch_up_marks.c
    found: int | None = connection.scalar(select(m.walked_until_s).order_by(m.walked_at_ms, m.id).limit(1))
    return found


def proved_until_s(connection: Connection) -> int | None:
    """Where the daily proofs of the account end that end the earliest; None where there is no account."""
    found: int | None = connection.scalar(select(func.min(catch_up_marks.c.proved_until_s)))
    return found


def _count(connection: Connection, table: Table, status: str) -> int:
    some = select(table.c.id).where(table.c.status == status).limit(COUNTED_MOST).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0
