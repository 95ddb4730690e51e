"""What needs a person: counts of what waits for a decision, each from an index and only up to a bound."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Table, func, select

from payouts.notices import NoticeStatus
from payouts.replay import ReplayStatus
from payouts.states import EventStatus, RequestStatus
from payouts.storage.difference_tables import differences
from payouts.storage.failure_tables import inbox_failures
from payouts.storage.money_tables import payout_requests
from payouts.storage.replay_tables import replays
from payouts.storage.tables import outbox

COUNTED_MOST = 1_000
"""From here on it is `1,000 or more`: what matters is that there are some."""


def waiting_for_a_person(connection: Connection) -> Mapping[str, int]:
    """How many there are of each, up to COUNTED_MOST; 0 included."""
    r = payout_requests.c
    return {
        "dead_events": _count(connection, inbox_failures, inbox_failures.c.status == EventStatus.DEAD),
        "approvals": _count(connection, payout_requests, r.status == RequestStatus.AWAITING_APPROVAL),
        "banks": _count(connection, payout_requests, r.blocked == "bank_unapproved"),
        "unclear_payouts": _count(connection, payout_requests, r.status == RequestStatus.UNCLEAR),
        "returned_payouts": _count(connection, payout_requests, r.status == RequestStatus.RETURNED),
        "replays": _count(connection, replays, replays.c.status == ReplayStatus.AWAITING_CONFIRMATION),
        "differences": _count(connection, differences, differences.c.healed_at_ms.is_(None)),
        "dead_notices": _count(connection, outbox, outbox.c.status == NoticeStatus.DEAD),
    }


def _count(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    some = select(table.c.id).where(*conditions).limit(COUNTED_MOST).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0
