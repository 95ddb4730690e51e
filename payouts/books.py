"""What events and answers do to requested payouts: their state, their legs and the ledger.

One `Books` belongs to one transaction: `load` locks the requests, the methods decide in memory, `write`
writes everything in sets. Rows are locked in one order by everybody: partners, payouts, requests, ledger
accounts.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from payouts import ledger
from payouts.ids import IdMaker, following
from payouts.ledger import Entry, LedgerKind, Movement, steps_of_payout
from payouts.leg import Attempt, Leg
from payouts.machine import Payout
from payouts.money import format_money
from payouts.plan import last_leg
from payouts.request import PayoutRequest, RequestMove
from payouts.states import AttemptStatus, LegKind, LegStatus, PayoutStatus, RequestStatus
from payouts.storage.ledger_queries import request_balance
from payouts.storage.ledger_rows import post
from payouts.storage.request_notices import RequestNotice, insert_request_notices
from payouts.storage.request_rows import (
    ATTEMPTS,
    LEGS,
    REQUESTS,
    attempts_of,
    legs_of,
    lock_requests,
    note_moves,
)

_FAILED = (PayoutStatus.FAILED, PayoutStatus.CANCELED)
_PAID = (PayoutStatus.PAID, PayoutStatus.REVERSED)
_UNDER_WAY = (RequestStatus.SENDING, RequestStatus.UNCLEAR)
MOVE_NOTICES = {
    RequestStatus.SENT: "payout.sent",
    RequestStatus.RETURNED: "payout.returned",
    RequestStatus.REVERSED: "payout.credited_again",
    RequestStatus.FAILED: "payout.refused",
    RequestStatus.UNCLEAR: "alert.payout_unclear",
}
"""Outbox rows written when a request comes to such a state, besides those of its payout."""


def follow(
    now: RequestStatus, old: PayoutStatus | None, new: PayoutStatus, amount_minor: int
) -> RequestStatus | None:
    """Where a payout's move takes its request; None where it stays.

    A reversal (its amount is negative) takes its request to returned, and back to paid if it fails later. It
    belongs to a request only once that was paid (`payouts.linking`).
    """
    if amount_minor < 0:
        if new in _PAID and old not in _PAID:
            return RequestStatus.RETURNED if now == RequestStatus.PAID else None
        back = new in _FAILED and old in _PAID and now == RequestStatus.RETURNED
        return RequestStatus.PAID if back else None
    if new in _FAILED:
        held = (*_UNDER_WAY, RequestStatus.SENT, RequestStatus.PAID)
        return RequestStatus.RETURNED if old not in _FAILED and now in held else None
    if new in _PAID:
        return RequestStatus.PAID if now in (*_UNDER_WAY, RequestStatus.SENT) else None
    return RequestStatus.SENT if now in _UNDER_WAY else None


@dataclass(frozen=True, slots=True)
class MadeLeg:
    """How an attempt at a leg was found to have succeeded."""

    stripe_id: str
    stripe_request_id: str | None = None


class Books:
    """The requests of one transaction with their legs and attempts, and what is to be written about them."""

    def __init__(self, connection: Connection, make_id: IdMaker, now_ms: int) -> None:
        self.connection = connection
        self.make_id = make_id
        self.now_ms = now_ms
        self.requests: dict[int, PayoutRequest] = {}
        self.legs: dict[int, Leg] = {}
        self.attempts: dict[int, Attempt] = {}
        self._of: dict[int, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
        """The ids of each request's legs and attempts."""
        self.notices: list[RequestNotice] = []
        self._entries: list[Entry] = []
        self._moves: list[RequestMove] = []
        # By kind: ids are unique within a table only.
        self._new_legs: set[int] = set()
        self._new_attempts: set[int] = set()
        self._changed: set[int] = set()

    def load(self, request_ids: Iterable[int]) -> None:
        """Lock these requests and read what belongs to them."""
        wanted = set(request_ids) - self.requests.keys()
        if not wanted:
            return
        self.requests |= lock_requests(self.connection, wanted)
        for leg in legs_of(self.connection, wanted):
            self.legs[leg.id] = leg
            self._of[leg.request_id][0].add(leg.id)
        for attempt in attempts_of(self.connection, wanted):
            self.attempts[attempt.id] = attempt
            self._of[attempt.request_id][1].add(attempt.id)

    def legs_of(self, request: PayoutRequest) -> list[Leg]:
        """The legs of a request, oldest first."""
        return [self.legs[leg_id] for leg_id in sorted(self._of[request.id][0])]

    def attempts_of(self, request: PayoutRequest) -> list[Attempt]:
        """The attempts of a request, oldest first."""
        return [self.attempts[attempt_id] for attempt_id in sorted(self._of[request.id][1])]

    def add_leg(self, leg: Leg) -> None:
        """A leg that begins now."""
        self.legs[leg.id] = leg
        self._of[leg.request_id][0].add(leg.id)
        self._new_legs.add(leg.id)

    def add_attempt(self, attempt: Attempt) -> None:
        """An attempt that is written before its call is made."""
        self.attempts[attempt.id] = attempt
        self._of[attempt.request_id][1].add(attempt.id)
        self._new_attempts.add(attempt.id)

    def change_request(self, request: PayoutRequest, **changes: Any) -> PayoutRequest:
        """Change what is not the state of a request."""
        changed = dataclasses.replace(request, updated_at_ms=self.now_ms, **changes)
        self.requests[request.id] = changed
        self._changed.add(request.id)
        return changed

    def change_leg(self, leg: Leg, **changes: Any) -> Leg:
        """Change a leg."""
        self.legs[leg.id] = changed = dataclasses.replace(leg, updated_at_ms=self.now_ms, **changes)
        self._changed.add(leg.id)
        return changed

    def change_attempt(self, attempt: Attempt, **changes: Any) -> Attempt:
        """Change an attempt."""
        self.attempts[attempt.id] = changed = dataclasses.replace(attempt, **changes)
        self._changed.add(attempt.id)
        return changed

    def move(
        self,
        request: PayoutRequest,
        to: RequestStatus,
        reason: str,
        actor: str | None = None,
        told: Mapping[str, object] | None = None,
        **changes: Any,
    ) -> PayoutRequest:
        """Move a request to its next state, with what that state's arrival is told to others; `told`: more
        of what is said then."""
        moved = request.moved(to, self.now_ms, **changes)
        self.requests[request.id] = moved
        self._changed.add(request.id)
        self._moves.append(RequestMove(moved, request.status, reason, actor))
        if to in MOVE_NOTICES:
            # Told each time: a request may come to the same state again.
            occasion = str(self.now_ms)
            about = {"status_before": request.status, **(told or {})}
            self.notices.append(RequestNotice(MOVE_NOTICES[to], moved, self.now_ms, reason, occasion, about))
        return moved

    def post(
        self,
        request: PayoutRequest,
        kind: str,
        reference: str,
        movements: tuple[Movement, ...],
        payout_id: int | None = None,
        actor: str | None = None,
    ) -> None:
        """Post a transaction of the request's partner, once for its reference."""
        self._entries.append(
            Entry(
                *(kind, reference, request.account, request.partner_id, request.currency, movements),
                effective_at_ms=self.now_ms,
                request_id=request.id,
                payout_id=payout_id,
                actor=actor,
            )
        )

    def payout_moved(self, payout: Payout, old: PayoutStatus | None) -> None:
        """A payout of a request came from `old` to its state: postings, leg and request follow."""
        request = self.requests.get(payout.request_id or 0)
        if request is None or payout.status is None:
            return
        legs = self.legs_of(request)
        is_reversal = payout.amount_minor < 0
        made = payout.original_payout if is_reversal else payout.stripe_id
        mine = next((leg for leg in legs if leg.kind == LegKind.PAYOUT and leg.stripe_id == made), None)
        if mine is None:
            return  # not what this service had made, nor a reversal of that: it moves no books
        for step in steps_of_payout(old, payout.status, payout.amount_minor):
            reference = f"payout:{payout.id}:{step.name}"
            self.post(request, f"payout_{step.name}", reference, step.movements, payout.id)
        if is_reversal:
            self._watch_reversal(request, payout, old)
        elif payout.status in _FAILED and mine.status == LegStatus.DONE:
            self.change_leg(mine, status=LegStatus.FAILED)
        newest = last_leg(legs, LegKind.PAYOUT)
        if not is_reversal and newest is not None and mine.id != newest.id:
            return  # of an attempt before the newest: the request has gone on from there
        to = follow(request.status, old, payout.status, payout.amount_minor)
        reason = f"payout {payout.stripe_id} is {payout.status}"
        told = {
            "stripe_id": payout.stripe_id,
            "is_reversal": is_reversal,
            "arrival_date_s": payout.arrival_date_s,
            "failure_code": payout.failure_code,
        }
        if to == RequestStatus.RETURNED:
            self.returned(request, reason, told)
        elif to is not None:
            self.move(request, to, reason, told=told, **_AT_REST)

    def _watch_reversal(self, request: PayoutRequest, payout: Payout, old: PayoutStatus | None) -> None:
        failed_late = payout.status in _FAILED and old in _PAID
        if not failed_late or request.status == RequestStatus.RETURNED:
            return
        amount = -payout.amount_minor
        # Without the payout's id: these are no postings of the payout's own state.
        twice = f"payout:{payout.id}:paid_twice"
        self.post(request, "payout_paid_twice", twice, ledger.paid_twice(amount))
        if request.status in (RequestStatus.SENDING, RequestStatus.REVERSING):
            self.change_request(request, due_at_ms=self.now_ms)  # what it waits for must not come first
        text = (
            f"reversal {payout.stripe_id} failed after its money was sent again or taken back: the partner "
            f"has {format_money(amount, request.currency)} too much, and is owed less by as much"
        )
        self.notices.append(RequestNotice("alert.paid_twice", request, self.now_ms, text, str(payout.id)))

    def returned(
        self, request: PayoutRequest, reason: str, told: Mapping[str, object] | None = None
    ) -> PayoutRequest:
        """A payout failed or came back: its money lies in the partner's Stripe account, unless the transfer
        was taken back already, or an earlier payment of the request turned out to stand."""
        request = self.move(request, RequestStatus.RETURNED, reason, told=told, **_AT_REST)
        transfer = last_leg(self.legs_of(request), LegKind.TRANSFER)
        if transfer is not None and transfer.status == LegStatus.REVERSED:
            return self._taken_back(request, transfer)
        return self._paid_after_all(request) if self.is_overpaid(request) else request

    def is_overpaid(self, request: PayoutRequest) -> bool:
        """Whether the partner has a payment of this request that is not counted as its claim."""
        mine = [entry for entry in self._entries if entry.request_id == request.id]
        now = sum(entry.sums().get(LedgerKind.OVERPAID, 0) for entry in mine)
        return now + request_balance(self.connection, request.id, LedgerKind.OVERPAID) > 0

    def _paid_after_all(self, request: PayoutRequest) -> PayoutRequest:
        """A reversal had failed when its money was on its way again; now that is back too. So the account
        holds nothing to send or to take back, and the payment that was to be reversed counts."""
        reference = f"request:{request.id}:paid_after_all:{self.make_id()}"
        self.post(request, "paid_after_all", reference, ledger.paid_after_all(request.amount_minor))
        reason = "an earlier payment stands: its reversal failed"
        return self.move(request, RequestStatus.PAID, reason, **_AT_REST)

    def given_up(self, request: PayoutRequest, reason: str, actor: str | None = None) -> PayoutRequest:
        """The payout will not be made although the transfer was: the claim goes to what was returned."""
        payout_leg = last_leg(self.legs_of(request), LegKind.PAYOUT)
        if payout_leg is not None:
            self.change_leg(payout_leg, status=LegStatus.FAILED)
        kinds = ledger.LedgerKind
        moved = (Movement(kinds.IN_TRANSIT, kinds.RETURNED, request.amount_minor),)
        number = len(self.attempts_of(request))
        self.post(request, "given_up", f"request:{request.id}:given_up:{number}", moved, actor=actor)
        return self.returned(request, reason)

    def swept(self, leg: Leg) -> None:
        """Stripe pays the account out by itself: with the transfer this service has done its part."""
        request = self.requests[leg.request_id]
        if request.status != RequestStatus.SENDING:
            return
        kinds = ledger.LedgerKind
        movements = (
            Movement(kinds.IN_TRANSIT, kinds.PAID, leg.amount_minor),
            Movement(kinds.AT_STRIPE, kinds.AT_BANK, leg.amount_minor),
        )
        self.post(request, "swept", f"leg:{leg.id}:swept", movements)
        reason = "transferred; Stripe pays the account out on its own schedule"
        self.move(request, RequestStatus.PAID, reason, **_AT_REST)

    def _taken_back(self, request: PayoutRequest, transfer: Leg) -> PayoutRequest:
        movements = ledger.taken_back(transfer.amount_minor)
        self.post(request, "taken_back", f"request:{request.id}:taken_back", movements)
        reason = f"transfer {transfer.stripe_id} was reversed"
        return self.move(request, RequestStatus.REVERSED, reason, **_AT_REST)

    def leg_made(self, leg: Leg, made: MadeLeg) -> bool:
        """Stripe has made a leg's object. False: another object was made for it before."""
        leg = self.legs.get(leg.id, leg)
        if leg.stripe_id is not None:
            return leg.stripe_id == made.stripe_id
        self.change_leg(leg, stripe_id=made.stripe_id, status=LegStatus.DONE)
        request = self.requests[leg.request_id]
        for attempt in self.attempts_of(request):
            if attempt.leg_id == leg.id and attempt.status == AttemptStatus.OPEN:
                self.change_attempt(
                    attempt,
                    status=AttemptStatus.SUCCEEDED,
                    answered_at_ms=self.now_ms,
                    stripe_request_id=made.stripe_request_id or attempt.stripe_request_id,
                )
        if leg.kind == LegKind.TRANSFER:
            self.post(request, "transfer", f"leg:{leg.id}:made", ledger.transferred(leg.amount_minor))
        if request.status in (*_UNDER_WAY, RequestStatus.QUEUED) and leg.kind == LegKind.TRANSFER:
            self._go_on(request)
        return True

    def _go_on(self, request: PayoutRequest) -> None:
        if request.status != RequestStatus.SENDING:
            request = self.move(request, RequestStatus.SENDING, "the transfer was found at Stripe")
        self.change_request(request, blocked=None, blocked_text=None, tries=0, due_at_ms=self.now_ms)

    def transfer_reversed(self, leg: Leg, total_minor: int) -> None:
        """So much of a transfer has come back in all. Less than is known already is lateness."""
        leg = self.legs.get(leg.id, leg)
        more = total_minor - leg.reversed_minor
        if more <= 0:
            return
        whole = total_minor >= leg.amount_minor
        status = LegStatus.REVERSED if whole else leg.status
        self.change_leg(leg, reversed_minor=total_minor, status=status)
        request = self.requests[leg.request_id]
        reference = f"leg:{leg.id}:reversed:{total_minor}"
        self.post(request, "transfer_reversed", reference, ledger.transfer_reversed(more))
        if whole and self._is_taken_back(request):
            self._taken_back(request, self.legs[leg.id])
        elif whole and request.status == RequestStatus.SENDING and not self.has_open_attempt(request):
            self.given_up(request, f"transfer {leg.stripe_id} was reversed before the payout was made")

    def has_open_attempt(self, request: PayoutRequest) -> bool:
        """Whether the outcome of a call is not known."""
        return any(attempt.status == AttemptStatus.OPEN for attempt in self.attempts_of(request))

    def new_leg_id(self, request: PayoutRequest) -> int:
        """An id that sorts behind the request's legs, whatever the clock of this process says."""
        drawn = self.make_id()
        return max([drawn, *(following(leg.id, drawn) for leg in self.legs_of(request))])

    def _is_taken_back(self, request: PayoutRequest) -> bool:
        """Whether its claim lies with what was returned: unclear it may have become on either way."""
        if request.status == RequestStatus.UNCLEAR:
            return last_leg(self.legs_of(request), LegKind.REVERSAL) is not None
        return request.status in (RequestStatus.RETURNED, RequestStatus.REVERSING)

    def write(self) -> None:
        """Write all that changed."""
        changed = self._changed
        REQUESTS.save(self.connection, [r for r in self.requests.values() if r.id in changed])
        note_moves(self.connection, self._moves, self.make_id, self.now_ms)
        LEGS.insert(self.connection, [self.legs[leg_id] for leg_id in sorted(self._new_legs)])
        ATTEMPTS.insert(self.connection, [self.attempts[each] for each in sorted(self._new_attempts)])
        old_legs, old_attempts = changed - self._new_legs, changed - self._new_attempts
        LEGS.save(self.connection, [leg for leg in self.legs.values() if leg.id in old_legs])
        ATTEMPTS.save(self.connection, [a for a in self.attempts.values() if a.id in old_attempts])
        post(self.connection, self._entries, self.make_id, self.now_ms)
        insert_request_notices(self.connection, self.notices, self.make_id)


_AT_REST: dict[str, Any] = {
    "blocked": None,
    "blocked_text": None,
    "lease_until_ms": 0,
    "lease": None,
    "tries": 0,
}
"""What a request looks like that no worker has anything to do for."""
