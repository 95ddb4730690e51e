"""What is asked about requested payouts, besides their own rows."""

from typing import Any

from sqlalchemy import Connection, and_, func, select

from payouts.ids import floor_id
from payouts.request import PayoutRequest, public_id
from payouts.states import RequestStatus
from payouts.storage.money_tables import partners, payout_requests, request_transitions
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.request_rows import REQUESTS

CAME_TO_NOTHING = (
    RequestStatus.CANCELED,
    RequestStatus.REJECTED,
    RequestStatus.FAILED,
    RequestStatus.REVERSED,
)
"""States in which a request's amount is owed to the partner again."""


def by_reference(connection: Connection, account: str, reference: str | None) -> PayoutRequest | None:
    """The account's request of this reference, if there is one."""
    if reference is None:
        return None
    r = payout_requests.c
    return next(iter(REQUESTS.find(connection, r.account == account, r.reference == reference)), None)


def requested_since(connection: Connection, partner_id: int, since_ms: int) -> int:
    """How much was requested for a partner from `since_ms` on, in minor units of its currency, without
    what came to nothing."""
    r = payout_requests.c
    total = connection.scalar(
        select(func.sum(r.amount_minor)).where(
            r.partner_id == partner_id,
            # Ids grow with time, and lead to the rows; clocks of two machines may differ by a little.
            r.id >= floor_id(since_ms - _CLOCKS_DIFFER_MS),
            r.created_at_ms >= since_ms,
            r.status.not_in(CAME_TO_NOTHING),
        )
    )
    return int(total or 0)


def newest_move(connection: Connection, request_id: int) -> dict[str, Any] | None:
    """The newest move of a request, as its row; None where none is kept."""
    t = request_transitions.c
    row = connection.execute(
        select(request_transitions).where(t.request_id == request_id).order_by(t.id.desc()).limit(1)
    ).first()
    return None if row is None else dict(row._mapping)


def request_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Requested payouts with their partner's reference as `partner`, newest first."""
    # An outer join, although every request has its partner: MariaDB would begin with the partners otherwise,
    # and sort all their requests for one page.
    query = select(*payout_requests.c, partners.c.reference.label("partner")).outerjoin(
        partners, partners.c.id == payout_requests.c.partner_id
    )
    rows = page(connection, query, payout_requests, filters, limit)
    return [{**row, "payout": public_id(row["id"]), **_ids_as_text(row)} for row in rows]


def shadowed_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """What shadow mode decided to pay, newest first: requests with their partner's reference as `partner`,
    its `manual_schedule`, and `decided_at_ms`."""
    r, t = payout_requests.c, request_transitions.c
    decided = and_(t.request_id == r.id, t.to_status == RequestStatus.SHADOWED)
    query = (
        select(
            *(
                r.id,
                r.reference,
                partners.c.reference.label("partner"),
                r.account,
                r.amount_minor,
                r.currency,
            ),
            *(r.source, r.requested_by, r.created_at_ms, t.at_ms.label("decided_at_ms")),
            partners.c.manual_schedule,
        )
        .join(partners, partners.c.id == r.partner_id)
        .join(request_transitions, decided)
        .where(r.status == RequestStatus.SHADOWED)
    )
    return page(connection, query, payout_requests, filters, limit)


def _ids_as_text(row: dict[str, Any]) -> dict[str, str | None]:
    # Row ids pass what JavaScript's numbers hold.
    return {name: None if row[name] is None else str(row[name]) for name in ("partner_id", "batch_id")}


_CLOCKS_DIFFER_MS = 60_000
