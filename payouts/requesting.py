"""Requesting a payout: the claim is set aside, and a row says what is to be sent.

Everything here happens in the caller's transaction with the partner's row locked: of two who ask for all
that is due at the same moment, the second one finds nothing left.
"""

import string
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts import ledger
from payouts.crash import crash_point
from payouts.due_days import day_start_ms
from payouts.errors import NotFoundError, ReferenceTakenError, RefusedError, RowIdTakenError
from payouts.ids import IdMaker
from payouts.ledger import Entry, LedgerKind
from payouts.limits import LimitKind, Limits
from payouts.money import AMOUNT_BELOW_MINOR, check_payable, format_money, payable_step
from payouts.partner import Partner, PartnerState
from payouts.people import Actor, Scope
from payouts.request import PayoutRequest, RequestMove
from payouts.states import RequestStatus
from payouts.storage import audit_rows, request_queries
from payouts.storage.ledger_rows import balance, post
from payouts.storage.limit_rows import limits_for
from payouts.storage.money_tables import REFERENCE_CHARS
from payouts.storage.partner_rows import lock_partners
from payouts.storage.request_notices import RequestNotice, insert_request_notices
from payouts.storage.request_rows import REQUESTS, note_moves

DESCRIPTOR_CHARS = 22
"""Of a statement descriptor (stripe-python's `PayoutCreateParams`)."""
_DESCRIPTOR = frozenset(string.ascii_letters + string.digits + " !#$%&()+,-./:;=?@[]^_{|}~")
AT_REQUEST = (LimitKind.MINIMUM, LimitKind.APPROVAL, LimitKind.DAILY)


class Source(StrEnum):
    """Where a request came in."""

    API = "api"
    COMMAND = "command"
    CONSOLE = "console"
    """By a person, in the browser."""
    SCHEDULE = "schedule"
    IMPORT = "import"
    RECOVERY = "recovery"
    """Lost in a restore, and booked anew from what Stripe has of it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, by a partner's row id."""

    partner_id: int
    amount_minor: int | None
    """None: all that is due."""
    source: Source
    currency: str | None = None
    """None: the partner's own."""
    reference: str | None = None
    """The caller's own name for it: asked again, the first request is the answer."""
    statement_descriptor: str | None = None
    minimum_minor: int = 0
    """With all that is due: only if it is at least this much."""
    batch_id: int | None = None


def request_payout(
    connection: Connection, wish: Wish, actor: Actor, make_id: IdMaker, now_ms: int
) -> PayoutRequest:
    """Request a payout, or return the one that was requested with the same reference before.

    Raises NotFoundError; ReferenceTakenError where the reference stands for something else; RefusedError
    `partner_blocked`, `wrong_currency`, `bad_amount`, `bad_reference`, `bad_descriptor`, `nothing_due`,
    `not_enough_owed`, `below_minimum` or `daily_limit`. What may change until it is sent (the bank account,
    holds, what Stripe still wants) is looked at then.
    """
    actor.require(Scope.REQUEST)
    _check_words(wish)
    partner = lock_partners(connection, [wish.partner_id]).get(wish.partner_id)
    if partner is None:
        raise NotFoundError(f"there is no partner {wish.partner_id}")
    earlier = request_queries.by_reference(connection, partner.account, wish.reference)
    if earlier is not None:
        return _same(earlier, wish)
    limits = Limits(limits_for(connection, [partner.id], AT_REQUEST))
    amount_minor = _amount(connection, wish, partner, limits)
    _check_daily(connection, partner, amount_minor, limits, now_ms)
    request = _new(wish, partner, amount_minor, limits, actor, make_id(), now_ms)
    _write(connection, request, actor, make_id)
    crash_point("request.before_commit")
    return request


def _check_words(wish: Wish) -> None:
    reference, descriptor = wish.reference, wish.statement_descriptor
    if reference is not None and not (0 < len(reference) <= REFERENCE_CHARS and reference.isprintable()):
        raise RefusedError("bad_reference", f"a reference has 1 to {REFERENCE_CHARS} printable characters")
    if descriptor is not None and not (
        0 < len(descriptor) <= DESCRIPTOR_CHARS and set(descriptor) <= _DESCRIPTOR
    ):
        raise RefusedError(
            "bad_descriptor",
            f"a statement descriptor has 1 to {DESCRIPTOR_CHARS} plain characters, without < > ' \" * and \\",
        )


def _same(earlier: PayoutRequest, wish: Wish) -> PayoutRequest:
    asked = (
        wish.amount_minor if wish.amount_minor is not None else earlier.amount_minor,
        wish.currency or earlier.currency,
        wish.statement_descriptor,
    )
    if asked != (earlier.amount_minor, earlier.currency, earlier.statement_descriptor):
        raise ReferenceTakenError(
            f"{wish.reference!r} stands for {earlier.public_id} already, over "
            f"{format_money(earlier.amount_minor, earlier.currency)}: another payout needs another reference"
        )
    return earlier


def _amount(connection: Connection, wish: Wish, partner: Partner, limits: Limits) -> int:
    """How much it is about: what was asked for, or all that is due, if that much is there."""
    _check_partner(wish, partner)
    currency = partner.currency
    if wish.amount_minor is not None:
        check_payable(wish.amount_minor, currency)
    owed_minor = balance(connection, partner.account, partner.id, LedgerKind.OWED, currency)
    amount_minor = wish.amount_minor
    if amount_minor is None:
        amount_minor = payable_part(owed_minor, currency)
        if amount_minor <= 0:
            raise RefusedError(
                "nothing_due",
                f"nothing is due to {partner.reference}: it is owed {format_money(owed_minor, currency)}",
            )
    elif amount_minor > owed_minor:
        raise RefusedError(
            "not_enough_owed",
            f"{partner.reference} is owed {format_money(owed_minor, currency)}, "
            f"so {format_money(amount_minor, currency)} cannot be paid out",
        )
    _check_minimum(wish, partner, amount_minor, limits)
    return amount_minor


def _check_partner(wish: Wish, partner: Partner) -> None:
    if partner.state == PartnerState.BLOCKED:
        why = f" ({partner.state_reason})" if partner.state_reason else ""
        raise RefusedError("partner_blocked", f"{partner.reference} is blocked{why}: nothing is paid to it")
    if wish.currency is not None and wish.currency != partner.currency:
        raise RefusedError(
            "wrong_currency",
            f"{partner.reference} is paid in {partner.currency.upper()}, not in {wish.currency.upper()}: "
            "nothing is converted here",
        )


def payable_part(owed_minor: int, currency: str) -> int:
    """The most of what is owed that can be paid out at once; the rest stays owed. 0 where nothing can."""
    step = payable_step(currency)
    return max(0, min(owed_minor, AMOUNT_BELOW_MINOR - step) // step * step)


def _check_minimum(wish: Wish, partner: Partner, amount_minor: int, limits: Limits) -> None:
    limit = limits.of(LimitKind.MINIMUM, partner.id, partner.currency)
    minimum_minor = max(limit.value if limit else 0, wish.minimum_minor)
    if amount_minor < minimum_minor:
        raise RefusedError(
            "below_minimum",
            f"{format_money(amount_minor, partner.currency)} is less than the smallest payout to "
            f"{partner.reference}, {format_money(minimum_minor, partner.currency)}",
        )


def _check_daily(
    connection: Connection, partner: Partner, amount_minor: int, limits: Limits, now_ms: int
) -> None:
    limit = limits.of(LimitKind.DAILY, partner.id, partner.currency)
    if limit is None:
        return
    today_minor = request_queries.requested_since(connection, partner.id, day_start_ms(now_ms))
    if today_minor + amount_minor > limit.value:
        currency = partner.currency
        raise RefusedError(
            "daily_limit",
            f"{partner.reference} can be paid {format_money(limit.value, currency)} a day (UTC); "
            f"{format_money(today_minor, currency)} was requested today, "
            f"{format_money(amount_minor, currency)} more is too much",
        )


def _new(
    wish: Wish, partner: Partner, amount_minor: int, limits: Limits, actor: Actor, row_id: int, now_ms: int
) -> PayoutRequest:
    threshold = limits.of(LimitKind.APPROVAL, partner.id, partner.currency)
    needs_approval = threshold is not None and amount_minor >= threshold.value
    return PayoutRequest(
        id=row_id,
        account=partner.account,
        partner_id=partner.id,
        amount_minor=amount_minor,
        currency=partner.currency,
        status=RequestStatus.AWAITING_APPROVAL if needs_approval else RequestStatus.QUEUED,
        blocked=None,
        blocked_text=None,
        due_at_ms=now_ms,
        tries=0,
        lease_until_ms=0,
        lease=None,
        source=wish.source,
        batch_id=wish.batch_id,
        reference=wish.reference,
        requested_by=actor.name,
        statement_descriptor=wish.statement_descriptor,
        needs_approval=needs_approval,
        shadow=False,
        sent_at_ms=None,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def _write(connection: Connection, request: PayoutRequest, actor: Actor, make_id: IdMaker) -> None:
    now_ms = request.created_at_ms
    try:
        REQUESTS.insert(connection, [request])
    except IntegrityError:
        # The partner's lock keeps its references apart, so it is the row id: draw again.
        raise RowIdTakenError(f"the row id {request.id} of a new request is taken") from None
    why = "needs approval" if request.needs_approval else "requested"
    note_moves(connection, [RequestMove(request, None, why, actor.name)], make_id, now_ms)
    entry = Entry(
        *("request", f"request:{request.id}", request.account, request.partner_id, request.currency),
        ledger.requested(request.amount_minor),
        effective_at_ms=now_ms,
        request_id=request.id,
        actor=actor.name,
    )
    post(connection, [entry], make_id, now_ms)
    insert_request_notices(connection, [RequestNotice("payout.requested", request, now_ms)], make_id)
    if actor.token_id is None:
        return  # the schedule: its run is the record
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="request.create",
        subject=request.public_id,
        account=request.account,
        details={
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "reference": request.reference,
            "source": request.source,
        },
    )
