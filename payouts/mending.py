"""What a person does about a payout that came back, or of which nobody knows what became.

Each verb has its own preconditions, takes effect under the locks of the partner and the request, and leaves
an audit entry. The call to Stripe that follows is a worker's.
"""

from typing import Any

from sqlalchemy import Connection

from payouts import gate, ledger
from payouts.books import Books
from payouts.canceling import loaded
from payouts.errors import RefusedError
from payouts.gate import NotOut
from payouts.ids import IdMaker
from payouts.leg import Leg
from payouts.people import Actor, Scope
from payouts.plan import last_leg, takes_money_out
from payouts.reasons import check_reason
from payouts.request import PayoutRequest
from payouts.states import AttemptStatus, LegKind, LegStatus, RequestStatus
from payouts.storage import audit_rows
from payouts.storage.partner_rows import lock_partners
from payouts.storage.request_rows import busy_requests, partner_ids_of


def retry(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Pay out again what came back and lies in the partner's Stripe account: a new payout, with a new key.

    Only for a request that is `returned`, with its transfer whole, while no other payout of the partner is
    being sent. Raises NotFoundError; RefusedError `not_returned`, `transfer_reversed` or `partner_busy`. The
    bank account is checked again at sending.
    """
    books, request = _begin(connection, request_id, actor, Scope.OPERATE, make_id, now_ms)
    reason = check_reason(reason)
    _require(request, RequestStatus.RETURNED, "not_returned", "only what was returned can be sent again")
    transfer = last_leg(books.legs_of(request), LegKind.TRANSFER)
    if transfer is None or transfer.status != LegStatus.DONE or transfer.reversed_minor:
        raise RefusedError(
            "transfer_reversed",
            f"the transfer of {request.public_id} was taken back, at least in part: reverse what is left "
            "and request a new payout",
        )
    _require_free(connection, request)
    leg = _new_payout_leg(request, books.new_leg_id(request), now_ms)
    books.add_leg(leg)
    moved = books.move(request, RequestStatus.SENDING, reason, actor.name, due_at_ms=now_ms)
    again = ledger.sent_again(request.amount_minor)
    books.post(moved, "sent_again", f"leg:{leg.id}:again", again, actor=actor.name)
    return _end(books, moved, actor, "request.retry", reason)


def reverse(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Take back the transfer of a payout that came back; the amount is owed to the partner again.

    Only for a request that is `returned`, or whose payout cannot be made although its transfer was (it waits
    for the account's balance, say, with no call open); while no other payout of the partner is being sent.
    Where an earlier payment of it stands, as its reversal failed, there is nothing to take back: it is paid.
    Raises NotFoundError; RefusedError `not_returned`, `being_sent` or `partner_busy`.
    """
    books, request = _begin(connection, request_id, actor, Scope.OPERATE, make_id, now_ms)
    reason = check_reason(reason)
    if request.status == RequestStatus.SENDING and _is_stranded(books, request, now_ms):
        request = books.given_up(request, reason, actor.name)
        if request.status == RequestStatus.PAID:
            return _end(books, request, actor, "request.reverse", reason)
    _require(request, RequestStatus.RETURNED, "not_returned", "only what was returned can be taken back")
    _require_free(connection, request)
    moved = books.move(request, RequestStatus.REVERSING, reason, actor.name, due_at_ms=now_ms)
    return _end(books, moved, actor, "request.reverse", reason)


def look(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Have Stripe asked once more for what is unclear. Nothing is sent.

    Only for a request that is `unclear`. Raises NotFoundError; RefusedError `not_unclear`.
    """
    books, request = _begin(connection, request_id, actor, Scope.OPERATE, make_id, now_ms)
    reason = check_reason(reason)
    _require(request, RequestStatus.UNCLEAR, "not_unclear", "only what is unclear is looked for")
    moved = books.move(request, _on_its_way(books, request), reason, actor.name, **_due(now_ms))
    return _end(books, moved, actor, "request.look", reason)


def release(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """A person found out at Stripe that what is unclear was never made: it is sent anew, with a new key.

    Only for a request that is `unclear`, and not by the one who asked for it: whoever is wrong here pays
    twice. Raises NotFoundError; RefusedError `not_unclear` or `four_eyes`.
    """
    books, request = _begin(connection, request_id, actor, Scope.APPROVE, make_id, now_ms)
    reason = check_reason(reason)
    _require(request, RequestStatus.UNCLEAR, "not_unclear", "only what is unclear is released")
    if actor.person_id is None or actor.name == request.requested_by:
        raise RefusedError(
            "four_eyes",
            f"{request.public_id} was requested by {request.requested_by}: somebody else releases it",
        )
    for attempt in books.attempts_of(request):
        if attempt.status == AttemptStatus.OPEN:
            books.change_attempt(attempt, status=AttemptStatus.RELEASED, answered_at_ms=now_ms)
            if takes_money_out(books.legs[attempt.leg_id], books.legs_of(request)):
                not_out = [NotOut(request, attempt.first_sent_at_ms)]
                gate.note_outflow(connection, [], actor.name, make_id, now_ms, not_out)
    moved = books.move(request, _on_its_way(books, request), reason, actor.name, **_due(now_ms))
    return _end(books, moved, actor, "request.release", reason)


def _begin(
    connection: Connection, request_id: int, actor: Actor, scope: Scope, make_id: IdMaker, now_ms: int
) -> tuple[Books, PayoutRequest]:
    actor.require(scope)
    lock_partners(connection, partner_ids_of(connection, [request_id]).values())
    books = Books(connection, make_id, now_ms)
    return books, loaded(books, request_id)


def _require(request: PayoutRequest, status: RequestStatus, code: str, text: str) -> None:
    if request.status != status:
        raise RefusedError(code, f"{request.public_id} is {request.status}: {text}")


def _is_stranded(books: Books, request: PayoutRequest, now_ms: int) -> bool:
    """Whether the transfer was made, no payout was, and no call for it is open or under way."""
    legs = books.legs_of(request)
    transfer, payout = last_leg(legs, LegKind.TRANSFER), last_leg(legs, LegKind.PAYOUT)
    made = transfer is not None and transfer.status == LegStatus.DONE
    paid_out = payout is not None and payout.stripe_id is not None
    if request.lease_until_ms > now_ms or books.has_open_attempt(request):
        raise RefusedError(
            "being_sent", f"{request.public_id} is being sent: what comes of it is not known yet"
        )
    return made and not paid_out


def _require_free(connection: Connection, request: PayoutRequest) -> None:
    busy = busy_requests(connection, [request.partner_id]).get(request.partner_id, set()) - {request.id}
    if busy:
        raise RefusedError(
            "partner_busy", "another payout of this partner is being sent: try again when it is through"
        )


def _on_its_way(books: Books, request: PayoutRequest) -> RequestStatus:
    reversal = last_leg(books.legs_of(request), LegKind.REVERSAL)
    taking_back = reversal is not None and reversal.status == LegStatus.OPEN
    return RequestStatus.REVERSING if taking_back else RequestStatus.SENDING


def _due(now_ms: int) -> dict[str, Any]:
    return {"due_at_ms": now_ms, "tries": 0, "blocked": None, "blocked_text": None}


def _new_payout_leg(request: PayoutRequest, leg_id: int, now_ms: int) -> Leg:
    return Leg(
        id=leg_id,
        account=request.account,
        request_id=request.id,
        kind=LegKind.PAYOUT,
        status=LegStatus.OPEN,
        amount_minor=request.amount_minor,
        currency=request.currency,
        stripe_id=None,
        reversed_minor=0,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def _end(books: Books, request: PayoutRequest, actor: Actor, action: str, reason: str) -> PayoutRequest:
    books.write()
    audit_rows.append(
        *(books.connection, books.make_id, books.now_ms),
        actor=actor.name,
        action=action,
        subject=request.public_id,
        account=request.account,
        reason=reason,
        details={"amount_minor": request.amount_minor, "currency": request.currency},
    )
    return request
