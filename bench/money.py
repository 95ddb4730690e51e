"""Partners that are owed money, and payouts requested for them, put into the tables in sets."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from payouts import ledger
from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.ledger import Entry
from payouts.partner import Partner, PartnerState
from payouts.request import PayoutRequest, RequestMove
from payouts.states import RequestStatus
from payouts.storage.ledger_rows import post
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.request_rows import REQUESTS, note_moves

CURRENCY = "eur"
AMOUNT_MINOR = 1_000


def new_partner(row_id: int, account: str, bank_account: str, at_ms: int | None = None) -> Partner:
    """A partner that can be paid."""
    at_ms = now_ms() if at_ms is None else at_ms
    known: dict[str, Any] = dict.fromkeys(Partner.__dataclass_fields__)
    known |= {
        "id": row_id,
        "account": account,
        "reference": f"bench-{account}",
        "name": "Bench",
        "email": "bench@example.com",
        "currency": CURRENCY,
        "state": PartnerState.READY,
        "payouts_enabled": True,
        "manual_schedule": True,
        "bank_account": bank_account,
        "bank_since_ms": at_ms,
        "bank_approved": bank_account,
        "schedule": "none",
        "created_at_ms": at_ms,
        "updated_at_ms": at_ms,
    }
    return Partner(**known)


def new_request(row_id: int, partner: Partner, at_ms: int | None = None, **values: Any) -> PayoutRequest:
    """A request of a partner, in the queue where `values` say nothing else."""
    at_ms = now_ms() if at_ms is None else at_ms
    known: dict[str, Any] = dict.fromkeys(PayoutRequest.__dataclass_fields__)
    known |= {
        "id": row_id,
        "account": partner.account,
        "partner_id": partner.id,
        "amount_minor": AMOUNT_MINOR,
        "currency": partner.currency,
        "status": RequestStatus.QUEUED,
        "due_at_ms": at_ms,
        "tries": 0,
        "lease_until_ms": 0,
        "source": "api",
        "requested_by": "bench",
        "needs_approval": False,
        "shadow": False,
        "created_at_ms": at_ms,
        "updated_at_ms": at_ms,
    }
    return PayoutRequest(**{**known, **values})


def add_partners(connection: Connection, partners: Sequence[Partner]) -> None:
    """Insert `partners`."""
    PARTNERS.insert(connection, partners)


def add_requests(
    connection: Connection,
    requests: Sequence[PayoutRequest],
    make_id: IdMaker,
    more: Sequence[Entry] = (),
) -> None:
    """Insert `requests` with the credits that they are paid from, and post `more` with them."""
    REQUESTS.insert(connection, requests)
    moves = [RequestMove(request, None, "requested", request.requested_by) for request in requests]
    note_moves(connection, moves, make_id, requests[0].created_at_ms)
    entries = [
        entry_of(request, kind, f"{kind}:{request.id}", movements)
        for request in requests
        for kind, movements in (
            ("credit", ledger.credit(request.amount_minor)),
            ("request", ledger.requested(request.amount_minor)),
        )
    ]
    post(connection, [*entries, *more], make_id, requests[0].created_at_ms)


def entry_of(
    request: PayoutRequest,
    kind: str,
    reference: str,
    movements: tuple[ledger.Movement, ...],
    payout_id: int | None = None,
) -> Entry:
    """A transaction of a request's partner, that counts when the request was made."""
    of = (request.account, request.partner_id, request.currency)
    owner = None if kind == "credit" else request.id
    return Entry(kind, reference, *of, movements, request.created_at_ms, owner, payout_id)
