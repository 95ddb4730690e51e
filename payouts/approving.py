"""Four eyes: a second person approves or rejects what one asked for, and new bank accounts."""

import dataclasses

from sqlalchemy import Connection

from payouts.books import Books
from payouts.canceling import give_back, loaded
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.readiness import NOT_APPROVED
from payouts.reasons import check_reason
from payouts.request import PayoutRequest
from payouts.states import RequestStatus
from payouts.storage import approval_rows, audit_rows, hold_rows
from payouts.storage.approval_rows import Approval, Subject, Verdict
from payouts.storage.partner_rows import PARTNERS, lock_partners
from payouts.storage.request_notices import RequestNotice

WAKE_MOST = 500


def approve(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Let a request that waits for approval be sent.

    Raises NotFoundError; RefusedError `not_waiting`, or `four_eyes` where the actor is no person, or the
    one who asked, by whatever token.
    """
    books, request = _to_decide(connection, request_id, actor, "approve", make_id, now_ms)
    reason = check_reason(reason)
    approved = books.move(request, RequestStatus.QUEUED, reason, actor.name, due_at_ms=now_ms)
    books.notices.append(RequestNotice("payout.approved", approved, now_ms, reason))
    return _decided(books, approved, actor, Verdict.APPROVED, reason)


def reject(
    connection: Connection, request_id: int, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """End a request that waits for approval; the amount is owed again. Raises as `approve` does."""
    books, request = _to_decide(connection, request_id, actor, "reject", make_id, now_ms)
    reason = check_reason(reason)
    rejected = give_back(books, request, RequestStatus.REJECTED, reason, actor.name)
    return _decided(books, rejected, actor, Verdict.REJECTED, reason)


def approve_bank_account(
    connection: Connection,
    partner_id: int,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
    seen: str | None = None,
) -> Partner:
    """Approve the bank account that a partner has now, so that it can be paid to once it is old enough.

    `seen`: the account that the person looked at; where the partner has another one by now, nothing is
    approved. Raises NotFoundError; RefusedError `four_eyes`, `no_bank_account`, `bank_account_changed` or
    `already_approved`.
    """
    actor.require(Scope.APPROVE)
    reason = check_reason(reason)
    if actor.person_id is None:
        raise RefusedError("four_eyes", f"a person approves a bank account, not a program ({actor.name})")
    partner = lock_partners(connection, [partner_id]).get(partner_id)
    if partner is None:
        raise NotFoundError(f"there is no partner {partner_id}")
    bank = partner.bank_account
    if not bank:
        raise RefusedError("no_bank_account", f"{partner.reference} has no bank account at Stripe yet")
    if seen is not None and seen != bank:
        raise RefusedError(
            "bank_account_changed",
            f"{partner.reference} has {bank} by now, not {seen}: look at it first (payouts partner show)",
        )
    if partner.bank_approved == bank:
        raise RefusedError("already_approved", f"the bank account of {partner.reference} is approved already")
    approved = dataclasses.replace(partner, bank_approved=bank, updated_at_ms=now_ms)
    PARTNERS.save(connection, [approved])
    approval_rows.append(
        connection,
        Approval(
            *(partner.account, Subject.BANK_ACCOUNT, bank, Verdict.APPROVED, actor.name, reason, now_ms)
        ),
        make_id,
    )
    hold_rows.wake(connection, ["bank_unapproved"], now_ms, WAKE_MOST, account=partner.account)
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="bank_account.approve",
        subject=partner.reference,
        account=partner.account,
        reason=reason,
        details={"bank_account": bank, "before": partner.bank_approved},
    )
    return approved


def _to_decide(
    connection: Connection, request_id: int, actor: Actor, verb: str, make_id: IdMaker, now_ms: int
) -> tuple[Books, PayoutRequest]:
    actor.require(Scope.APPROVE)
    books = Books(connection, make_id, now_ms)
    request = loaded(books, request_id)
    name = request.public_id
    if actor.person_id is None:
        raise RefusedError("four_eyes", f"a person decides on {name}, not a program ({actor.name})")
    if actor.name == request.requested_by:
        raise RefusedError("four_eyes", f"you asked for {name} yourself: somebody else must {verb} it")
    if request.status == RequestStatus.QUEUED and request.blocked == NOT_APPROVED:
        # It was queued under a higher threshold, and the gate stopped it by the one of now.
        request = books.move(
            *(request, RequestStatus.AWAITING_APPROVAL, "needs approval by the threshold as it is now"),
            needs_approval=True,
            blocked=None,
            blocked_text=None,
        )
    if request.status != RequestStatus.AWAITING_APPROVAL:
        raise RefusedError("not_waiting", f"{name} is {request.status}: it does not wait for approval")
    return books, request


def _decided(
    books: Books, request: PayoutRequest, actor: Actor, verdict: Verdict, reason: str
) -> PayoutRequest:
    connection, make_id, now_ms = books.connection, books.make_id, books.now_ms
    books.write()
    approval_rows.append(
        connection,
        Approval(*(request.account, Subject.REQUEST, str(request.id), verdict, actor.name, reason, now_ms)),
        make_id,
    )
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="request.approve" if verdict == Verdict.APPROVED else "request.reject",
        subject=request.public_id,
        account=request.account,
        reason=reason,
        details={
            "requested_by": request.requested_by,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
        },
    )
    return request
