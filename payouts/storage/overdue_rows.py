"""Rows that take too long, in pages by id: one query for each rule of `payouts.overdue`."""

from typing import Any

from sqlalchemy import Connection, Select, and_, exists, func, or_, select

from payouts.ids import floor_id
from payouts.ledger import LedgerKind
from payouts.overdue import Late
from payouts.partner import PartnerState
from payouts.states import AttemptStatus, PayoutStatus, RequestStatus
from payouts.storage.money_tables import (
    ledger_accounts,
    leg_attempts,
    legs,
    partners,
    payout_requests,
    request_transitions,
)
from payouts.storage.tables import inbox, payouts

UNDER_WAY = (PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT)
NO_DATE_MS = 7 * 24 * 3_600_000
"""A payout that has no day of arrival counts as overdue so long after it was first seen."""


def stuck_requests(
    status: RequestStatus, before_ms: int, connection: Connection, after_id: int, limit: int
) -> list[Late]:
    """Requests that came to `status` before `before_ms` and are there still."""
    r, t = payout_requests.c, request_transitions.c
    since = select(func.max(t.at_ms)).where(t.request_id == r.id, t.to_status == status).scalar_subquery()
    since_ms = func.coalesce(since, r.created_at_ms)
    query = select(
        *(r.id, r.account, r.amount_minor, r.currency, since_ms.label("since_ms")), r.blocked.label("detail")
    ).where(r.status == status, r.id > after_id, r.id < floor_id(before_ms), since_ms < before_ms)
    return _late(connection, query.order_by(r.id).limit(limit))


def overdue_payouts(
    status: PayoutStatus, arrived_before_ms: int, connection: Connection, after_id: int, limit: int
) -> list[Late]:
    """Payouts in `status` that were to arrive before `arrived_before_ms`."""
    p = payouts.c
    undated = and_(p.arrival_date_s.is_(None), p.created_at_ms < arrived_before_ms - NO_DATE_MS)
    query = _payouts().where(
        p.status == status, p.id > after_id, or_(p.arrival_date_s < arrived_before_ms // 1000, undated)
    )
    return _late(connection, query.order_by(p.id).limit(limit))


def silent_payouts(before_ms: int, connection: Connection, after_id: int, limit: int) -> list[Late]:
    """Payouts of ours, made before `before_ms`, of which no event has come."""
    p = payouts.c
    told = exists().where(inbox.c.object_id == p.stripe_id)
    query = _payouts().where(
        *(p.status == PayoutStatus.PENDING, p.id > after_id, p.id < floor_id(before_ms)),
        *(p.request_id.is_not(None), ~told),
    )
    return _late(connection, query.order_by(p.id).limit(limit))


def open_attempts(before_ms: int, connection: Connection, after_id: int, limit: int) -> list[Late]:
    """Attempts sent first before `before_ms` whose outcome is not known."""
    a = leg_attempts.c
    query = (
        select(
            *(a.id, a.account, legs.c.amount_minor, legs.c.currency, a.first_sent_at_ms.label("since_ms")),
            *(a.call.label("detail"), a.request_id),
        )
        .join(legs, legs.c.id == a.leg_id)
        .where(a.status == AttemptStatus.OPEN, a.first_sent_at_ms < before_ms, a.id > after_id)
    )
    return _late(connection, query.order_by(a.id).limit(limit))


def returned_restricted(connection: Connection, after_id: int, limit: int) -> list[Late]:
    """What lies returned of partners that cannot be paid."""
    a = ledger_accounts.c
    query = (
        select(
            *(a.id, a.account, a.balance_minor.label("amount_minor"), a.currency),
            *(partners.c.updated_at_ms.label("since_ms"), partners.c.state.label("detail")),
        )
        .join(partners, partners.c.id == a.partner_id)
        .where(
            *(a.kind == LedgerKind.RETURNED, a.balance_minor > 0, a.id > after_id),
            partners.c.state.in_((PartnerState.RESTRICTED, PartnerState.BLOCKED)),
        )
    )
    return _late(connection, query.order_by(a.id).limit(limit))


def _payouts() -> Select[Any]:
    p = payouts.c
    return select(
        *(p.id, p.account, p.amount_minor, p.currency, p.created_at_ms.label("since_ms")),
        *(p.status.label("detail"), p.stripe_id, p.request_id),
    )


def _late(connection: Connection, query: Select[Any]) -> list[Late]:
    return [Late(**row._mapping) for row in connection.execute(query)]
