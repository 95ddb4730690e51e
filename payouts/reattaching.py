"""Legs that a restore has lost are made again, from the objects that Stripe has for them.

Everything that this service makes at Stripe names its request and its leg. Where the request is there and
the leg is not, the leg is written anew and recorded as made, by the same functions as an answer of Stripe's;
so the request goes on from there, and never sends it again. What does not fit is left to a person.
"""

from sqlalchemy import Connection

from payouts import gate, ledger
from payouts.books import Books, MadeLeg
from payouts.calls import METADATA_LEG, METADATA_REQUEST
from payouts.event import PayoutObject, id_of
from payouts.healing import settle_payouts
from payouts.ids import IdMaker
from payouts.ledger import Movement
from payouts.leg import Leg
from payouts.linking import lock_with_counterparts
from payouts.plan import last_leg
from payouts.recovery import RECOVERY
from payouts.request import PayoutRequest, row_id_of
from payouts.states import AttemptStatus, LegKind, LegStatus, RequestStatus
from payouts.storage.partner_rows import lock_partners
from payouts.storage.request_rows import partner_ids_of
from payouts.transfer import TransferObject, leg_id_in

_FOUND = "found at Stripe after the database was restored"


def named_leg(seen: TransferObject | PayoutObject) -> int | None:
    """The row id of the leg of ours that an object names; a payout's reversal is no object of ours."""
    return leg_id_in(seen.metadata, METADATA_LEG) if seen.amount > 0 else None


def named_request(seen: TransferObject | PayoutObject) -> int | None:
    """The row id of the request that an object names."""
    return row_id_of(str((seen.metadata or {}).get(METADATA_REQUEST)))


def attach_transfer(
    connection: Connection, make_id: IdMaker, now_ms: int, seen: TransferObject
) -> str | None:
    """Make the leg of a transfer again; None once the books have it, else why they cannot.

    The request was queued, or waited for its approval, at the time that was restored: then it was approved,
    for nothing else is sent. It counts as going out now, so that limits on velocity know of it.
    """
    books, request, leg_id = _load(connection, make_id, now_ms, seen)
    if request is None:
        return _no_request(seen)
    if leg_id in books.legs:
        return None
    trouble = _misfit(request, seen, str(id_of(seen.destination)))
    if trouble is None and last_leg(books.legs_of(request), LegKind.TRANSFER) is not None:
        trouble = f"{request.public_id} has another transfer"
    if trouble is None and request.status not in (RequestStatus.QUEUED, RequestStatus.AWAITING_APPROVAL):
        trouble = f"{request.public_id} is {request.status}, without a transfer"
    if trouble is not None:
        return trouble
    if request.status == RequestStatus.AWAITING_APPROVAL:
        request = books.move(request, RequestStatus.QUEUED, f"approved: its transfer was {_FOUND}")
    request = books.change_request(request, needs_approval=False, sent_at_ms=request.sent_at_ms or now_ms)
    leg = _new_leg(request, leg_id, LegKind.TRANSFER, now_ms)
    books.add_leg(leg)
    books.leg_made(leg, MadeLeg(seen.id))
    books.write()
    gate.note_outflow(connection, [request], RECOVERY, make_id, now_ms)
    return None


def attach_payout(
    connection: Connection, make_id: IdMaker, now_ms: int, account: str, seen: PayoutObject
) -> str | None:
    """The same for a payout, whose state is then settled as its event would be.

    Payouts of an account come oldest first, each as it is now: where there are several of a request, each
    but the last one has failed before the next was made.
    """
    lock_with_counterparts(connection, [seen])
    books, request, leg_id = _load(connection, make_id, now_ms, seen)
    if request is None:
        return _no_request(seen)
    if leg_id not in books.legs:
        trouble = _misfit(request, seen, account) or _begin_payout(books, request, leg_id, now_ms)
        if trouble is not None:
            return trouble
        books.write()
    settle_payouts(connection, make_id, now_ms, account, [seen])
    return None


def _begin_payout(books: Books, request: PayoutRequest, leg_id: int, now_ms: int) -> str | None:
    """Add the leg of a payout that was made after the time that was restored."""
    legs = books.legs_of(request)
    transfer, before = last_leg(legs, LegKind.TRANSFER), last_leg(legs, LegKind.PAYOUT)
    if transfer is None or transfer.stripe_id is None:
        return f"{request.public_id} has no transfer"
    if before is not None and before.status == LegStatus.OPEN:
        # Its call was refused, else no other payout would have been made; then a person sent it again.
        request = _refused(books, request, before)
    if before is not None and request.status == RequestStatus.RETURNED:
        request = books.move(request, RequestStatus.SENDING, f"sent again: a payout was {_FOUND}")
        again = ledger.sent_again(request.amount_minor)
        books.post(request, "sent_again", f"leg:{leg_id}:again", again)
    if request.status not in (RequestStatus.SENDING, RequestStatus.UNCLEAR):
        return f"{request.public_id} is {request.status}"
    books.add_leg(_new_leg(request, leg_id, LegKind.PAYOUT, now_ms))
    return None


def _refused(books: Books, request: PayoutRequest, leg: Leg) -> PayoutRequest:
    for attempt in books.attempts_of(request):
        if attempt.leg_id == leg.id and attempt.status == AttemptStatus.OPEN:
            text = "refused: another payout was made after it"
            books.change_attempt(
                attempt, status=AttemptStatus.REFUSED, answered_at_ms=books.now_ms, error=text
            )
    books.change_leg(leg, status=LegStatus.FAILED)
    kinds = ledger.LedgerKind
    back = (Movement(kinds.IN_TRANSIT, kinds.RETURNED, leg.amount_minor),)
    books.post(request, "payout_refused", f"leg:{leg.id}:refused", back)
    return books.returned(request, f"refused: a later payout was {_FOUND}")


def _load(
    connection: Connection, make_id: IdMaker, now_ms: int, seen: TransferObject | PayoutObject
) -> tuple[Books, PayoutRequest | None, int]:
    request_id = named_request(seen) or 0
    lock_partners(connection, partner_ids_of(connection, [request_id]).values())
    books = Books(connection, make_id, now_ms)
    books.load([request_id])
    return books, books.requests.get(request_id), named_leg(seen) or 0


def _no_request(seen: TransferObject | PayoutObject) -> str:
    return f"there is no request {(seen.metadata or {}).get(METADATA_REQUEST)}"


def _misfit(request: PayoutRequest, seen: TransferObject | PayoutObject, account: str) -> str | None:
    # Whoever holds the account can write any metadata: it counts only where all else fits.
    ours = (request.account, request.amount_minor, request.currency)
    if ours == (account, seen.amount, seen.currency.lower()):
        return None
    return f"{request.public_id} is about another amount or another account"


def _new_leg(request: PayoutRequest, leg_id: int, kind: LegKind, now_ms: int) -> Leg:
    return Leg(
        id=leg_id,
        account=request.account,
        request_id=request.id,
        kind=kind,
        status=LegStatus.OPEN,
        amount_minor=request.amount_minor,
        currency=request.currency,
        stripe_id=None,
        reversed_minor=0,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
