"""How fast the books are checked, and in how much memory: paid payouts with all that belongs to them.

Every invariant has rows to look at and holds; the month in which everything counts is closed.
"""

import dataclasses
import multiprocessing
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bench.money import add_partners, add_requests, entry_of, new_partner, new_request
from payouts import ledger
from payouts.calls import payout_call, transfer_call
from payouts.checking import check
from payouts.clock import now_ms
from payouts.closing import close_month
from payouts.ids import IdMaker
from payouts.ledger import Entry, steps_of_payout
from payouts.leg import Attempt, Leg
from payouts.machine import PAYOUT_COLUMNS, Payout
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.period import month_of
from payouts.request import PayoutRequest
from payouts.states import AttemptStatus, LegKind, LegStatus, PayoutStatus, RequestStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.engine import build_engine
from payouts.storage.invariants import all_invariants
from payouts.storage.request_rows import ATTEMPTS, LEGS
from payouts.storage.tables import payouts

POSTINGS_EACH = 10
"""Of a payout: credit, request, transfer, payout and payment, with two each."""
PARTNERS = 1_000
REQUESTS_AT_ONCE = 500
AGE_MS = 62 * 86_400_000
"""So long ago that the month is over, whatever day it is."""
TIMEOUT_S = 120


def checked(engine: Engine, database_url: str, count: int) -> tuple[float, float]:
    """Postings checked in a second, and by how many MB the process grew at its highest, imports left out."""
    fill(engine, count)
    # A process of its own: this one grew while it filled the tables.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        took_s, grown_mb = pool.apply(_check, (database_url,))
    return count / took_s, grown_mb


def _check(database_url: str) -> tuple[float, float]:
    engine = build_engine(database_url, timeout_s=TIMEOUT_S, pool_size=1)
    all_invariants()
    with engine.connect():
        pass
    before_mb = _peak_mb()
    began = time.monotonic()
    for finding in check(engine):
        assert not finding.violations, f"{finding.name}: {finding.violations[:3]}"
    took_s = time.monotonic() - began
    grown_mb = _peak_mb() - before_mb
    engine.dispose()
    return took_s, grown_mb


def _peak_mb() -> float:
    # Not `ru_maxrss`: that one begins with what the parent held when it started this process.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def fill(engine: Engine, count: int) -> None:
    """Books with `count` postings, of payouts that were all paid in a month that is closed."""
    at_ms = month_of(now_ms() - AGE_MS).from_ms + 1
    make_id = IdMaker(lambda: at_ms)
    partners = [
        new_partner(make_id(), f"acct_{number:016d}", "ba_bench", at_ms) for number in range(PARTNERS)
    ]
    with engine.begin() as connection:
        add_partners(connection, partners)
    for start in range(0, count // POSTINGS_EACH, REQUESTS_AT_ONCE):
        numbers = range(start, min(start + REQUESTS_AT_ONCE, count // POSTINGS_EACH))
        paid = [_Paid(make_id, partners[number % PARTNERS], at_ms) for number in numbers]
        with engine.begin() as connection:
            LEGS.insert(connection, [leg for each in paid for leg in each.legs])
            ATTEMPTS.insert(connection, [attempt for each in paid for attempt in each.attempts])
            insert_rows(connection, payouts, PAYOUT_COLUMNS, [dataclasses.astuple(p.payout) for p in paid])
            entries = [entry for each in paid for entry in each.entries]
            add_requests(connection, [each.request for each in paid], make_id, entries)
    actor = Actor("bench", 1, 1, frozenset(Scope))
    close_month(engine, str(month_of(at_ms)), actor, make_id, now_ms)


class _Paid:
    """A payout that arrived, with the rows that sending it and its events left."""

    def __init__(self, make_id: IdMaker, partner: Partner, at_ms: int) -> None:
        of = {"status": RequestStatus.PAID, "sent_at_ms": at_ms}
        self.request = new_request(make_id(), partner, at_ms, **of)
        self.legs: list[Leg] = []
        self.attempts: list[Attempt] = []
        self._add_leg(make_id, partner, LegKind.TRANSFER, "tr")
        self._add_leg(make_id, partner, LegKind.PAYOUT, "po")
        self.payout = _payout(make_id(), self.request, self.legs[-1].stripe_id or "")
        self.entries = self._entries()

    def _add_leg(self, make_id: IdMaker, partner: Partner, kind: LegKind, prefix: str) -> None:
        request, leg_id, attempt_id = self.request, make_id(), make_id()
        if kind == LegKind.TRANSFER:
            call = transfer_call(request, leg_id, attempt_id)
        else:
            call = payout_call(request, leg_id, attempt_id, partner.bank_account)
        at_ms = request.created_at_ms
        self.legs.append(
            Leg(
                *(leg_id, request.account, request.id, kind, LegStatus.DONE, request.amount_minor),
                *(request.currency, f"{prefix}_{leg_id}", 0, at_ms, at_ms),
            )
        )
        known: dict[str, Any] = dict.fromkeys(Attempt.__dataclass_fields__)
        known |= {
            "id": attempt_id,
            "account": request.account,
            "request_id": request.id,
            "leg_id": leg_id,
            "number": 1,
            "idempotency_key": call.idempotency_key,
            "stripe_account": call.stripe_account,
            "call": call.call,
            "body": call.body(),
            "status": AttemptStatus.SUCCEEDED,
            "sends": 1,
            "first_sent_at_ms": at_ms,
            "last_sent_at_ms": at_ms,
            "answered_at_ms": at_ms,
            "worker": "bench",
        }
        self.attempts.append(Attempt(**known))

    def _entries(self) -> list[Entry]:
        request, payout = self.request, self.payout
        made = ledger.transferred(request.amount_minor)
        return [
            entry_of(request, "transfer", f"leg:{self.legs[0].id}:made", made),
            *(
                entry_of(request, f"payout_{s.name}", f"payout:{payout.id}:{s.name}", s.movements, payout.id)
                for s in steps_of_payout(None, PayoutStatus.PAID, request.amount_minor)
            ),
        ]


def _payout(row_id: int, request: PayoutRequest, stripe_id: str) -> Payout:
    known: dict[str, Any] = dict.fromkeys(PAYOUT_COLUMNS)
    known |= {
        "id": row_id,
        "stripe_id": stripe_id,
        "account": request.account,
        "status": PayoutStatus.PAID,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "origin": "requested",
        "livemode": 0,
        "created_at_ms": request.created_at_ms,
        "updated_at_ms": request.created_at_ms,
        "request_id": request.id,
    }
    return Payout(**known)
