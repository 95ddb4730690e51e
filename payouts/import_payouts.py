"""Payouts in flight, begun by the system before: they become requests, so that events find them.

Each gets the rows that it would have here: a request that is sent, a transfer and a payout that are made, and
their postings. What the transfer took is credited and filled up with the same reference: opening balances
leave these payouts out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from payouts import ledger
from payouts.books import Books
from payouts.crediting import Cause, check_partner_currency
from payouts.csv_lines import Line
from payouts.errors import ReferenceTakenError, RefusedError, RowIdTakenError
from payouts.event import PayoutObject
from payouts.import_lines import partner_of
from payouts.importing import Done, Part, each_line
from payouts.ledger import Entry, Movement
from payouts.leg import Leg
from payouts.linking import link_reversals
from payouts.machine import Payout
from payouts.money import check_amount, format_money, parse_money
from payouts.partner import Partner
from payouts.people import Scope
from payouts.request import PayoutRequest, RequestMove, public_id
from payouts.requesting import Source
from payouts.sightings import Cause as SeenBy
from payouts.sightings import Sightings
from payouts.states import LegKind, LegStatus, PayoutStatus, RequestStatus
from payouts.storage.import_queries import requests_by_reference
from payouts.storage.ledger_rows import post
from payouts.storage.partner_rows import lock_partners, partners_by_reference
from payouts.storage.payout_rows import lock_payouts
from payouts.storage.request_rows import LEGS, REQUESTS, legs_by_stripe_id, note_moves
from payouts.words import shortened

IN_FLIGHT = (PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT, PayoutStatus.PAID)
"""Statuses that can still change by themselves. What failed is owed again: it belongs to the balances."""
_ID_CHARS = 90


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A line that reads well."""

    line: Line
    partner: Partner
    payout_id: str
    transfer_id: str | None
    amount_minor: int
    status: PayoutStatus

    @property
    def reference(self) -> str:
        return f"import:{self.payout_id}"

    @property
    def key(self) -> tuple[str, str]:
        return self.partner.account, self.reference


@dataclass(frozen=True, slots=True)
class PayoutFile:
    """One payout a line. `livemode`: of which mode they all are."""

    livemode: bool
    name: str = "payouts"
    scope: Scope = Scope.OPERATE
    required: Sequence[str] = ("partner", "payout", "amount", "currency", "status")
    optional: Sequence[str] = ("transfer",)

    def write(self, part: Part, lines: Sequence[Line]) -> Done:
        """Write those that are new, all at once."""
        known = partners_by_reference(part.connection, (line.get("partner") for line in lines))
        read: dict[str, _InFlight] = {}

        def take(line: Line) -> bool:
            item = _read(line, partner_of(line, known))
            first = read.setdefault(item.payout_id, item)
            if _content(first) != _content(item):
                raise ReferenceTakenError(
                    f"{item.payout_id} stands in line {first.line.number} too, otherwise"
                )
            return first is item

        done = each_line(lines, part, take)
        new, rejected = self._unknown(part, list(read.values()))
        if new:
            self._insert(part, new)
        return Done(len(new), done.new + done.known - len(new) - rejected)

    def _unknown(self, part: Part, items: Sequence[_InFlight]) -> tuple[list[_InFlight], int]:
        """Those that are not here yet; and how many cannot be taken."""
        lock_partners(part.connection, {item.partner.id for item in items})
        held = lock_payouts(part.connection, {item.payout_id for item in items})
        requests = requests_by_reference(part.connection, {item.key for item in items})
        ids = {item.payout_id for item in items} | {item.transfer_id for item in items if item.transfer_id}
        legs = legs_by_stripe_id(part.connection, ids)
        new, rejected, transfers = list[_InFlight](), 0, set[str]()
        for item in items:
            try:
                earlier = requests.get(item.key)
                if earlier is not None:
                    _check_same(earlier, item)
                    continue
                _check_free(item, held.get(item.payout_id), legs, transfers)
            except RefusedError as error:
                part.reject(item.line, error.code, str(error))
                rejected += 1
            else:
                transfers |= {item.transfer_id} if item.transfer_id else set()
                new.append(item)
        return new, rejected

    def _insert(self, part: Part, items: Sequence[_InFlight]) -> None:
        make_id, now_ms = part.make_id, part.now_ms
        requests = {item.payout_id: _request(item, part) for item in items}
        transfers, payouts = dict[str, Leg](), dict[str, Leg]()
        for item in items:
            request = requests[item.payout_id]
            transfers[item.payout_id] = _leg(request, LegKind.TRANSFER, item.transfer_id, make_id())
            payouts[item.payout_id] = _leg(request, LegKind.PAYOUT, item.payout_id, make_id())
        entries = [
            entry
            for item in items
            for entry in _entries(item, requests[item.payout_id], transfers[item.payout_id])
        ]
        try:
            REQUESTS.insert(part.connection, list(requests.values()))
            LEGS.insert(part.connection, [*transfers.values(), *payouts.values()])
            why = "in flight when it was brought over"
            moves = [RequestMove(request, None, why, part.actor.name) for request in requests.values()]
            note_moves(part.connection, moves, make_id, now_ms)
            post(part.connection, entries, make_id, now_ms)
            self._settle(part, items, payouts)
        except IntegrityError:
            # An event told of one of them a moment ago, or a row id was drawn twice: all of it once more.
            raise RowIdTakenError("a payout in flight was written by somebody else meanwhile") from None

    def _settle(self, part: Part, items: Sequence[_InFlight], legs: dict[str, Leg]) -> None:
        """Bring each payout, and the books with it, to where Stripe's events and this file say it is."""
        held = lock_payouts(part.connection, [item.payout_id for item in items])
        sightings = Sightings(part.make_id, part.now_ms, held)
        books = Books(part.connection, part.make_id, part.now_ms)
        books.load(leg.request_id for leg in legs.values())
        for item in items:
            leg = legs[item.payout_id]
            before = held.get(item.payout_id)
            if before is not None:
                books.payout_moved(sightings.link(before, leg.request_id), None)
            seen = PayoutObject(
                item.payout_id, item.amount_minor, leg.currency, item.status, livemode=self.livemode
            )
            count = len(sightings.transitions)
            sightings.see(SeenBy(leg.account), seen, leg.request_id)
            for row in sightings.transitions[count:]:
                books.payout_moved(row.payout, row.transition.from_status)
        sightings.notices.clear()  # others heard of them from the system before
        sightings.insert_born(part.connection)
        for reversal in link_reversals(part.connection, sightings):
            books.payout_moved(reversal, None)
        sightings.write(part.connection)
        books.write()


def _read(line: Line, partner: Partner) -> _InFlight:
    currency = check_partner_currency(partner, line.get("currency"))
    amount_minor = check_amount(parse_money(line.get("amount"), currency), currency)
    payout_id, transfer_id = line.get("payout"), line.get("transfer") or None
    if not _PAYOUT.fullmatch(payout_id):
        raise RefusedError("bad_payout", f"{shortened(payout_id)} is no payout of Stripe's: it is po_…")
    if transfer_id and not _TRANSFER.fullmatch(transfer_id):
        raise RefusedError("bad_transfer", f"{shortened(transfer_id)} is no transfer of Stripe's: it is tr_…")
    status = line.get("status")
    if status not in IN_FLIGHT:
        raise RefusedError(
            "bad_status",
            f"{shortened(status)} is not in flight: {', '.join(IN_FLIGHT)} are; what failed or was canceled "
            "is owed again and belongs to the balances",
        )
    return _InFlight(line, partner, payout_id, transfer_id, amount_minor, PayoutStatus(status))


def _content(item: _InFlight) -> tuple[Any, ...]:
    return item.partner.id, item.transfer_id, item.amount_minor


def _check_same(earlier: PayoutRequest, item: _InFlight) -> None:
    if earlier.amount_minor != item.amount_minor:
        amount = format_money(earlier.amount_minor, earlier.currency)
        raise ReferenceTakenError(f"{item.payout_id} was brought over before, with {amount}")


def _check_free(item: _InFlight, held: Payout | None, legs: dict[str, Leg], transfers: set[str]) -> None:
    leg = legs.get(item.payout_id)
    if leg is not None:
        raise RefusedError("bad_payout", f"{item.payout_id} belongs to {public_id(leg.request_id)}")
    if item.transfer_id and (item.transfer_id in legs or item.transfer_id in transfers):
        raise RefusedError("bad_transfer", f"{item.transfer_id} belongs to another payout")
    if held is None:
        return
    if held.request_id is not None or held.account != item.partner.account:
        raise RefusedError("bad_payout", f"{item.payout_id} belongs to another payout of {held.account}")
    if (held.amount_minor, held.currency) != (item.amount_minor, item.partner.currency):
        amount = format_money(held.amount_minor, held.currency)
        raise RefusedError("bad_amount", f"{item.payout_id} is over {amount}, as Stripe's events say")


def _request(item: _InFlight, part: Part) -> PayoutRequest:
    values: dict[str, Any] = dict.fromkeys(PayoutRequest.__dataclass_fields__)
    values |= {
        "id": part.make_id(),
        "account": item.partner.account,
        "partner_id": item.partner.id,
        "amount_minor": item.amount_minor,
        "currency": item.partner.currency,
        "status": RequestStatus.SENT,
        "due_at_ms": part.now_ms,
        "tries": 0,
        "lease_until_ms": 0,
        "source": Source.IMPORT,
        "reference": item.reference,
        "requested_by": part.actor.name,
        "needs_approval": False,
        "shadow": False,
        "sent_at_ms": part.now_ms,
        "created_at_ms": part.now_ms,
        "updated_at_ms": part.now_ms,
    }
    return PayoutRequest(**values)


def _leg(request: PayoutRequest, kind: LegKind, stripe_id: str | None, leg_id: int) -> Leg:
    return Leg(
        id=leg_id,
        account=request.account,
        request_id=request.id,
        kind=kind,
        status=LegStatus.DONE,
        amount_minor=request.amount_minor,
        currency=request.currency,
        stripe_id=stripe_id,
        reversed_minor=0,
        created_at_ms=request.created_at_ms,
        updated_at_ms=request.created_at_ms,
    )


def _entries(item: _InFlight, request: PayoutRequest, transfer: Leg) -> list[Entry]:
    amount = request.amount_minor
    kinds = ledger.LedgerKind
    came_from = (
        *ledger.credit(amount),
        Movement(kinds.FUNDING, kinds.STRIPE_BALANCE, amount),
    )
    steps: list[tuple[str, str, tuple[Movement, ...], int | None]] = [
        (Cause.OPENING, f"{Cause.OPENING}:{item.payout_id}", came_from, None),
        ("request", f"request:{request.id}", ledger.requested(amount), request.id),
        ("transfer", f"leg:{transfer.id}:made", ledger.transferred(amount), request.id),
    ]
    return [
        Entry(
            *(kind, reference, request.account, request.partner_id, request.currency, movements),
            effective_at_ms=request.created_at_ms,
            request_id=request_id,
            actor=request.requested_by,
        )
        for kind, reference, movements, request_id in steps
    ]


_PAYOUT = re.compile(rf"po_[A-Za-z0-9_]{{1,{_ID_CHARS}}}")
_TRANSFER = re.compile(rf"tr_[A-Za-z0-9_]{{1,{_ID_CHARS}}}")
