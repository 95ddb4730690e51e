"""Requested payouts, their transitions, legs and attempts."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, or_, select, update

from payouts.ids import IdMaker
from payouts.leg import Attempt, Leg
from payouts.request import PayoutRequest, RequestMove
from payouts.states import AttemptStatus, LegKind, LegStatus, RequestStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.money_tables import leg_attempts, legs, payout_requests, request_transitions
from payouts.storage.records import Records

REQUESTS = Records(
    payout_requests,
    PayoutRequest,
    fixed={
        *("id", "account", "partner_id", "amount_minor", "currency", "source", "batch_id", "reference"),
        *("requested_by", "created_at_ms"),
    },
    reads={"status": RequestStatus},
)
LEGS = Records(
    legs,
    Leg,
    fixed={"id", "account", "request_id", "kind", "amount_minor", "currency", "created_at_ms"},
    reads={"status": LegStatus, "kind": LegKind},
)
ATTEMPTS = Records(
    leg_attempts,
    Attempt,
    fixed={
        *("id", "account", "request_id", "leg_id", "number", "idempotency_key", "stripe_account"),
        *("call", "body", "first_sent_at_ms"),
    },
    reads={"status": AttemptStatus},
)


def lock_requests(connection: Connection, ids: Iterable[int]) -> dict[int, PayoutRequest]:
    """The requests among `ids` that exist, locked in one order and read after the lock."""
    return {request.id: request for request in REQUESTS.lock(connection, payout_requests.c.id, ids)}


def partner_ids_of(connection: Connection, request_ids: Iterable[int]) -> dict[int, int]:
    """The partners of these requests, by request id; read without a lock, and never changing."""
    r = payout_requests.c
    rows = connection.execute(select(r.id, r.partner_id).where(r.id.in_(sorted(set(request_ids)))))
    return {row.id: row.partner_id for row in rows}


def busy_requests(connection: Connection, partner_ids: Iterable[int]) -> dict[int, set[int]]:
    """The requests of each partner that are being sent, taken back or unclear. The partner's lock covers
    the answer: no other one begins meanwhile."""
    r = payout_requests.c
    busy = (RequestStatus.SENDING, RequestStatus.REVERSING, RequestStatus.UNCLEAR)
    rows = connection.execute(
        select(r.partner_id, r.id).where(r.partner_id.in_(sorted(set(partner_ids))), r.status.in_(busy))
    )
    found: dict[int, set[int]] = {}
    for row in rows:
        found.setdefault(row.partner_id, set()).add(row.id)
    return found


def next_queued(connection: Connection, partner_ids: Iterable[int]) -> dict[int, int]:
    """For each partner the oldest request that waits for its turn, and for nothing else."""
    r = payout_requests.c
    free = or_(r.blocked.is_(None), r.blocked == PARTNER_BUSY)
    rows = connection.execute(
        select(r.partner_id, func.min(r.id).label("first"))
        .where(r.partner_id.in_(sorted(set(partner_ids))), r.status == RequestStatus.QUEUED, free)
        .group_by(r.partner_id)
    )
    return {row.partner_id: row.first for row in rows}


def overdue_requests(connection: Connection, now_ms: int, limit: int) -> list[int]:
    """Requests that are due and that no worker is at, the oldest of each status first.

    What was begun comes before what waits for it: the queue, however long, must not keep it out.
    """
    r = payout_requests.c
    found: list[int] = []
    for status in (RequestStatus.SENDING, RequestStatus.REVERSING, RequestStatus.QUEUED):
        found += connection.scalars(
            select(r.id)
            .where(r.status == status, r.due_at_ms <= now_ms, r.lease_until_ms <= now_ms)
            .order_by(r.due_at_ms)
            .limit(limit - len(found))
        )
        if len(found) >= limit:
            break
    return found


def legs_of(connection: Connection, request_ids: Iterable[int]) -> list[Leg]:
    """All legs of these requests, oldest first. The request's lock covers them."""
    return LEGS.find(connection, legs.c.request_id.in_(sorted(set(request_ids))))


def attempts_of(connection: Connection, request_ids: Iterable[int]) -> list[Attempt]:
    """All attempts of these requests, oldest first. The request's lock covers them."""
    return ATTEMPTS.find(connection, leg_attempts.c.request_id.in_(sorted(set(request_ids))))


def note_moves(connection: Connection, moves: Sequence[RequestMove], make_id: IdMaker, at_ms: int) -> None:
    """Append to the log of the requests' transitions."""
    columns = ("id", "account", "request_id", "from_status", "to_status", "reason", "actor", "at_ms")
    rows = [
        (
            make_id(),
            move.request.account,
            move.request.id,
            move.from_status,
            move.request.status,
            move.reason[:255],
            move.actor,
            at_ms,
        )
        for move in moves
    ]
    insert_rows(connection, request_transitions, columns, rows)


def legs_by_id(connection: Connection, leg_ids: Iterable[int]) -> dict[int, Leg]:
    """These legs, read without a lock: good for finding the request whose lock covers them."""
    wanted = sorted(set(leg_ids))
    if not wanted:
        return {}
    return {leg.id: leg for leg in LEGS.find(connection, legs.c.id.in_(wanted))}


def legs_by_stripe_id(connection: Connection, stripe_ids: Iterable[str]) -> dict[str, Leg]:
    """The legs of these objects of Stripe's, read without a lock."""
    wanted = sorted(set(stripe_ids))
    if not wanted:
        return {}
    found = LEGS.find(connection, legs.c.stripe_id.in_(wanted))
    return {leg.stripe_id: leg for leg in found if leg.stripe_id}


PARTNER_BUSY = "partner_busy"
"""What a request waits for while another one of its partner is being sent."""
PLATFORM_BALANCE, ACCOUNT_BALANCE = "platform_balance", "account_balance"
"""What a request waits for whose transfer, or whose payout, found too little money."""


def wake_for_balance(connection: Connection, account: str, now_ms: int) -> list[int]:
    """Money came to `account`: requests that waited for it are due now. Returns their ids."""
    r = payout_requests.c
    query = select(r.id).where(r.blocked == PLATFORM_BALANCE)
    if account != PLATFORM:
        query = select(r.id).where(r.blocked == ACCOUNT_BALANCE, r.account == account)
    ids = list(connection.scalars(query.order_by(r.id).limit(WAKE_MOST)))
    if ids:
        connection.execute(
            update(payout_requests)
            .where(r.id.in_(ids), r.due_at_ms > now_ms)
            .values(due_at_ms=now_ms, updated_at_ms=now_ms)
        )
    return ids


def wake_for_partner(connection: Connection, partner_id: int, now_ms: int) -> None:
    """Something about a partner changed: its requests that are stopped are looked at again now."""
    r = payout_requests.c
    connection.execute(
        update(payout_requests)
        .where(
            r.partner_id == partner_id,
            r.status.in_((RequestStatus.QUEUED, RequestStatus.SENDING)),
            r.blocked.in_(PARTNER_STOPS),
            r.due_at_ms > now_ms,
        )
        .values(due_at_ms=now_ms, updated_at_ms=now_ms)
    )


PARTNER_STOPS = ("partner_not_ready", "partner_blocked", "bank_unapproved", "bank_cooling_off")
WAKE_MOST = 5_000
"""Of waiting requests for one event; the others come at their own time."""
