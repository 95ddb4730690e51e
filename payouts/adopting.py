"""Adopting: a request that a restore has lost is booked anew, from what Stripe has of it.

A person does this for each, who found out that it was rightly made: what the partner is owed falls by the
amount. It keeps its id, which Stripe's objects name.
"""

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine

from payouts import ledger
from payouts.books import Books
from payouts.budget import Budget
from payouts.clock import Clock
from payouts.errors import NotFoundError, RefusedError
from payouts.event import PayoutObject, id_of
from payouts.gateway import StripeGateway, Window
from payouts.ids import IdMaker
from payouts.ledger import Entry, LedgerKind
from payouts.money import format_money
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.reattaching import attach_payout, attach_transfer, named_leg, named_request
from payouts.reconciling import Reconciler
from payouts.request import PayoutRequest, RequestMove, public_id
from payouts.requesting import Source
from payouts.states import RequestStatus
from payouts.storage import audit_rows, request_queries
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_rows import balance, post
from payouts.storage.partner_rows import lock_partner_of
from payouts.storage.request_rows import REQUESTS, legs_by_stripe_id, lock_requests, note_moves
from payouts.storage.unit import in_transaction
from payouts.transfer import TransferObject

CLOCKS_DIFFER_S = 60
READS_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Adopter:
    """Adopts requests, one at a time. What is cut short goes on when it is asked for again."""

    engine: Engine
    gateway: StripeGateway
    reconciler: Reconciler
    make_id: IdMaker
    clock: Clock

    def adopt(
        self, transfer_id: str, actor: Actor, reason: str, reference: str | None = None
    ) -> PayoutRequest:
        """Book the request that a transfer names. `reference`: the portal's own name for it, so that it is no
        other request when it is asked for again.

        Raises NotFoundError where Stripe has no such transfer, or no partner has its account; RefusedError
        `not_ours`, `not_enough_owed`, `reference_taken` or `does_not_fit`; GatewayError.
        """
        actor.require(Scope.OPERATE)
        reason = check_reason(reason)
        seen = self.gateway.transfer_if_any(transfer_id)
        if seen is None:
            raise NotFoundError(
                f"Stripe has no transfer {transfer_id}: is its id whole, and of this account and mode?"
            )
        request_id, account = named_request(seen), id_of(seen.destination)
        if request_id is None or named_leg(seen) is None or account is None:
            raise RefusedError("not_ours", f"{transfer_id} names no request of this service")
        adoption = _Adoption(self, seen, request_id, account, actor, reason, reference)
        in_transaction(self.engine, adoption.book)
        payouts = [each for each in self._payouts(account, seen) if named_request(each) == request_id]
        for payout in payouts:
            in_transaction(self.engine, partial(adoption.follow, payout=payout))
        request = in_transaction(self.engine, adoption.end)
        self.reconciler.compare_one(PLATFORM, transfer_id, Budget(READS_MOST))
        for payout in payouts:
            self.reconciler.compare_one(account, payout.id, Budget(READS_MOST))
        return request

    def _payouts(self, account: str, transfer: TransferObject) -> list[PayoutObject]:
        """The payouts made on the account since the transfer, oldest first."""
        since_s = max((transfer.created or 0) - CLOCKS_DIFFER_S, 0)
        window = Window(since_s, self.clock() // 1000 + CLOCKS_DIFFER_S)
        found: list[PayoutObject] = []
        after = None
        while True:
            page = self.gateway.payouts_page(account, window, after)
            found += [each for each in page.objects if named_leg(each) is not None]
            after = page.after
            if after is None:
                return sorted(found, key=lambda each: (each.created or 0, each.id))


@dataclass(frozen=True, slots=True)
class _Adoption:
    """One request on its way into the books."""

    adopter: Adopter
    seen: TransferObject
    request_id: int
    account: str
    actor: Actor
    reason: str
    reference: str | None

    def book(self, connection: Connection) -> None:
        make_id, now_ms = self.adopter.make_id, self.adopter.clock()
        partner = lock_partner_of(connection, self.account)
        if partner is None:
            raise NotFoundError(f"no partner has the account {self.account}: register it first")
        if not lock_requests(connection, [self.request_id]):
            self._insert(connection, partner, now_ms)
        self._must_fit(attach_transfer(connection, make_id, now_ms, self.seen))

    def follow(self, connection: Connection, payout: PayoutObject) -> None:
        make_id, now_ms = self.adopter.make_id, self.adopter.clock()
        self._must_fit(attach_payout(connection, make_id, now_ms, self.account, payout))

    def end(self, connection: Connection) -> PayoutRequest:
        books = Books(connection, self.adopter.make_id, self.adopter.clock())
        books.load([self.request_id])
        leg = legs_by_stripe_id(connection, [self.seen.id])[self.seen.id]
        books.transfer_reversed(leg, self.seen.amount_reversed)
        books.write()
        return books.requests[self.request_id]

    def _must_fit(self, trouble: str | None) -> None:
        if trouble is not None:
            raise RefusedError("does_not_fit", f"{public_id(self.request_id)} cannot be adopted: {trouble}")

    def _insert(self, connection: Connection, partner: Partner, now_ms: int) -> None:
        self._check(connection, partner)
        request = self._request(partner, now_ms)
        REQUESTS.insert(connection, [request])
        move = RequestMove(request, None, "adopted: found at Stripe after a restore", self.actor.name)
        make_id = self.adopter.make_id
        note_moves(connection, [move], make_id, now_ms)
        entry = Entry(
            *("request", f"request:{request.id}", request.account, partner.id, request.currency),
            ledger.requested(request.amount_minor),
            effective_at_ms=now_ms,
            request_id=request.id,
            actor=self.actor.name,
        )
        post(connection, [entry], make_id, now_ms)
        audit_rows.append(
            *(connection, make_id, now_ms),
            actor=self.actor.name,
            action="request.adopt",
            subject=request.public_id,
            account=request.account,
            reason=self.reason,
            details={"transfer": self.seen.id, "amount_minor": request.amount_minor},
        )

    def _check(self, connection: Connection, partner: Partner) -> None:
        currency = self.seen.currency.lower()
        earlier = request_queries.by_reference(connection, partner.account, self.reference)
        if earlier is not None:
            raise RefusedError(
                "reference_taken",
                f"{self.reference!r} stands for {earlier.public_id}: adopt it without, and cancel that one",
            )
        owed_minor = balance(connection, partner.account, partner.id, LedgerKind.OWED, currency)
        if owed_minor < self.seen.amount:
            raise RefusedError(
                "not_enough_owed",
                f"{partner.reference} is owed {format_money(owed_minor, currency)}, and "
                f"{format_money(self.seen.amount, currency)} were paid: book lost credits first",
            )

    def _request(self, partner: Partner, now_ms: int) -> PayoutRequest:
        return PayoutRequest(
            id=self.request_id,
            account=partner.account,
            partner_id=partner.id,
            amount_minor=self.seen.amount,
            currency=self.seen.currency.lower(),
            status=RequestStatus.QUEUED,
            blocked=None,
            blocked_text=None,
            due_at_ms=now_ms,
            tries=0,
            lease_until_ms=0,
            lease=None,
            source=Source.RECOVERY,
            batch_id=None,
            reference=self.reference,
            requested_by=self.actor.name,
            statement_descriptor=None,
            needs_approval=False,
            shadow=False,
            sent_at_ms=None,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
