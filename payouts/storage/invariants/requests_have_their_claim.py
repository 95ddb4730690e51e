"""The amount of a requested payout stands in one ledger account, the one that its state says.

Every move of a request that changes where its amount stands is posted in the same transaction. All postings
of a request carry its id, so they can be summed for it alone.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, func, select

from payouts.claims import CLAIM_KINDS, place_of
from payouts.request import public_id
from payouts.states import LegKind, LegStatus, RequestStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import (
    ledger_accounts,
    ledger_transactions,
    legs,
    payout_requests,
    postings,
)
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    query = _query()
    for bounds in ranges(connection, payout_requests.c.id):
        rows = connection.execute(query.where(within(payout_requests.c.id, bounds))).all()
        requests = {row.id: row for row in rows}
        held: dict[int, dict[str, int]] = {}
        for row in rows:
            if row.kind is not None and row.total:
                held.setdefault(row.id, {})[row.kind] = int(row.total)
        for request_id, request in requests.items():
            place = place_of(RequestStatus(request.status), taking_back=request.taking_back)
            wanted = {str(place): request.amount_minor} if place else {}
            found = held.get(request_id, {})
            if found != wanted:
                text = f"is {request.status}, so {_said(wanted)} is right; posted is {_said(found)}"
                yield Violation(public_id(request_id), text)


def _query() -> Select[Any]:
    r, t, p, a = payout_requests.c, ledger_transactions.c, postings.c, ledger_accounts.c
    taking_back = exists().where(
        legs.c.request_id == r.id, legs.c.kind == LegKind.REVERSAL, legs.c.status == LegStatus.OPEN
    )
    total = func.sum(p.amount_minor).label("total")
    return (
        select(r.id, r.status, r.amount_minor, a.kind, total, taking_back.label("taking_back"))
        .select_from(payout_requests)
        .outerjoin(ledger_transactions, t.request_id == r.id)
        .outerjoin(postings, p.transaction_id == t.id)
        .outerjoin(ledger_accounts, and_(a.id == p.ledger_account_id, a.kind.in_(CLAIM_KINDS)))
        .group_by(r.id, r.status, r.amount_minor, a.kind)
        .order_by(r.id)
    )


def _said(amounts: dict[str, int]) -> str:
    return ", ".join(f"{amount} {kind}" for kind, amount in sorted(amounts.items())) or "nothing"


INVARIANT = Invariant(
    promise="the amount of every requested payout stands where its state says: on its way, paid, returned, "
    "or owed again",
    remedy="compare the request's history (`payouts payout show`) with its postings "
    "(`payouts ledger journal`); hold the partner until it is clear where the money is",
    find=_find,
)
