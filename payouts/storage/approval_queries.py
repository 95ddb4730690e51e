"""What waits for a second person, and what is known about it: a few rows from an index each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, literal, or_, select, union_all

from payouts.partner import Partner
from payouts.readiness import NOT_APPROVED
from payouts.replay import Replay, ReplayStatus
from payouts.request import PayoutRequest
from payouts.states import RequestStatus
from payouts.storage.money_tables import partners, payout_requests
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.replay_rows import REPLAYS
from payouts.storage.replay_tables import replays
from payouts.storage.request_rows import REQUESTS
from payouts.unusual import EARLIER_MOST, Earlier

BANK_UNAPPROVED = "bank_unapproved"
WAITERS_MOST = 500
"""Requests that wait for a bank account's approval, looked at to find whose they are."""
PARTNERS_MOST = 2_000
"""Partners that are looked at for one page of bank accounts: the table has no index for them."""


@dataclass(frozen=True, slots=True)
class BankAccounts:
    """Partners whose bank account waits for approval."""

    held_up: Sequence[Partner]
    """A payout waits for it."""
    others: Sequence[Partner]
    """Newest partner first."""
    before_id: int | None
    """Where to go on looking for others; None: all partners were looked at."""
    waiters: dict[int, int]
    """By partner: how many requests wait for it, of the WAITERS_MOST looked at."""


def waiting_requests(connection: Connection, before_id: int | None, limit: int) -> list[PayoutRequest]:
    """Requests that a second person can approve, newest first: those that wait for it since they were made,
    and queued ones that the threshold of now stopped."""
    r = payout_requests.c
    behind = [] if before_id is None else [r.id < before_id]
    found: list[PayoutRequest] = []
    for condition in (
        r.status == RequestStatus.AWAITING_APPROVAL,
        and_(r.blocked == NOT_APPROVED, r.status == RequestStatus.QUEUED),
    ):
        query = REQUESTS.query(condition, *behind).order_by(None).order_by(r.id.desc()).limit(limit)
        found += REQUESTS.all(connection, query)
    return sorted(found, key=lambda request: -request.id)[:limit]


def partners_of(connection: Connection, partner_ids: Collection[int]) -> dict[int, Partner]:
    """These partners by id, read without a lock."""
    wanted = sorted(set(partner_ids))
    found = PARTNERS.find(connection, partners.c.id.in_(wanted)) if wanted else []
    return {partner.id: partner for partner in found}


def earlier_requests(connection: Connection, requests: Collection[PayoutRequest]) -> dict[int, list[Earlier]]:
    """By request, those of its partner that came before it, newest first, EARLIER_MOST at most."""
    if not requests:
        return {}
    r = payout_requests.c
    # First their ids, by an index alone: asked for the rows at once, MariaDB reads all of the partner's.
    some = [
        select(literal(request.id).label("request_id"), r.id.label("earlier_id"))
        .where(r.partner_id == request.partner_id, r.id < request.id)
        .order_by(r.id.desc())
        .limit(EARLIER_MOST)
        .subquery()
        for request in requests
    ]
    ids = union_all(*(select(one) for one in some)).subquery()
    rows = connection.execute(
        select(ids.c.request_id, r.amount_minor, r.currency, r.status, r.source, r.created_at_ms)
        .join(ids, ids.c.earlier_id == r.id)
        .order_by(r.id.desc())
    )
    found: dict[int, list[Earlier]] = {request.id: [] for request in requests}
    for request_id, *values in rows:
        found[int(request_id)].append(Earlier(*values))
    return found


def was_paid(connection: Connection, partner_id: int) -> bool:
    """Whether any payout to the partner was ever paid, and not taken back since."""
    r = payout_requests.c
    query = select(r.id).where(r.partner_id == partner_id, r.status == RequestStatus.PAID).limit(1)
    return connection.scalar(query) is not None


def bank_accounts(connection: Connection, before_id: int | None, limit: int) -> BankAccounts:
    """Bank accounts that wait for approval: on the first page those that payouts wait for, and `limit` others
    among the next PARTNERS_MOST partners."""
    waiters = _waiters(connection)
    held_up = []
    if before_id is None:
        known = partners_of(connection, waiters)
        held_up = [one for one in known.values() if one.bank_account != one.bank_approved]
    p = partners.c
    near = select(p.id, p.bank_account, p.bank_approved).order_by(p.id.desc()).limit(PARTNERS_MOST)
    window = (near if before_id is None else near.where(p.id < before_id)).subquery()
    w = window.c
    unapproved = or_(w.bank_approved.is_(None), w.bank_approved != w.bank_account)
    query = select(w.id).where(w.bank_account.is_not(None), unapproved).order_by(w.id.desc())
    ids = list(connection.scalars(query.limit(limit + 1)))
    if len(ids) > limit:
        on_from: int | None = ids[limit - 1]
    else:
        looked_at, last = connection.execute(select(func.count(), func.min(w.id))).one()
        on_from = last if looked_at == PARTNERS_MOST else None
    found = partners_of(connection, [one for one in ids[:limit] if one not in waiters])
    others = sorted(found.values(), key=lambda partner: -partner.id)
    return BankAccounts(held_up, others, on_from, waiters)


def replays_to_confirm(connection: Connection) -> list[Replay]:
    """Replays that found their events and wait for somebody to look at their preview; oldest first."""
    return REPLAYS.find(connection, replays.c.status == ReplayStatus.AWAITING_CONFIRMATION)


def _waiters(connection: Connection) -> dict[int, int]:
    r = payout_requests.c
    ids = connection.scalars(
        select(r.partner_id).where(r.blocked == BANK_UNAPPROVED).order_by(r.account, r.id).limit(WAITERS_MOST)
    )
    counted: dict[int, int] = {}
    for partner_id in ids:
        counted[partner_id] = counted.get(partner_id, 0) + 1
    return counted
