"""Calling off a requested payout before it is sent: what was set aside is owed again."""

from sqlalchemy import Connection

from payouts import ledger
from payouts.books import Books
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.request import PayoutRequest, no_request
from payouts.states import REQUEST_TRANSITIONS, RequestStatus
from payouts.storage import audit_rows
from payouts.storage.request_notices import RequestNotice

CANCELABLE = (RequestStatus.AWAITING_APPROVAL, RequestStatus.QUEUED)


def cancel(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Cancel a request that waits for approval, or is queued with no worker at it.

    Raises NotFoundError; RefusedError `not_cancelable` or `being_sent`. The request's row is locked, so
    either a worker has taken it before, or none can any more.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    books = Books(connection, make_id, now_ms)
    request = loaded(books, request_id)
    if request.status not in CANCELABLE:
        raise RefusedError("not_cancelable", _too_late(request))
    if request.lease_until_ms > now_ms:
        raise RefusedError(
            "being_sent",
            f"{request.public_id} is being sent at this moment: look again in a minute",
        )
    if books.has_open_attempt(request) or any(leg.stripe_id for leg in books.legs_of(request)):
        raise RefusedError("being_sent", f"Stripe has, or may have, a transfer for {request.public_id}")
    canceled = give_back(books, request, RequestStatus.CANCELED, reason, actor.name)
    books.write()
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="request.cancel",
        subject=request.public_id,
        account=request.account,
        reason=reason,
        details={"was": request.status, "amount_minor": request.amount_minor, "currency": request.currency},
    )
    return canceled


def loaded(books: Books, request_id: int) -> PayoutRequest:
    """The request, locked. Raises NotFoundError."""
    books.load([request_id])
    request = books.requests.get(request_id)
    if request is None:
        raise no_request(request_id)
    return request


def give_back(
    books: Books, request: PayoutRequest, to: RequestStatus, reason: str, actor: str
) -> PayoutRequest:
    """End a request of which nothing was sent: the amount is owed again, and others are told."""
    ended = books.move(
        *(request, to, reason, actor), blocked=None, blocked_text=None, lease=None, lease_until_ms=0
    )
    books.post(
        ended,
        "request_back",
        f"request:{request.id}:back",
        ledger.given_back(request.amount_minor),
        actor=actor,
    )
    books.notices.append(RequestNotice(f"payout.{to}", ended, books.now_ms, reason))
    return ended


def _too_late(request: PayoutRequest) -> str:
    name, status = request.public_id, request.status
    if status not in REQUEST_TRANSITIONS:
        return f"{name} is {status} already: there is nothing left to cancel"
    if status == RequestStatus.RETURNED:
        return f"{name} came back from the bank: `payouts payout reverse {name}` takes the money back"
    return f"{name} is {status}: once Stripe has it, it can no longer be called off here"
