"""Requests, answers, crashes, events and hours in any order: nobody is paid twice, no cent is lost.

A falsified example prints its steps as a program, and a line `@reproduce_failure(…)`. Hypothesis keeps the
example in `.hypothesis`, so the same test fails with it again until it is mended; elsewhere, put that line
above the test, or paste the steps below `machine = PaymentMachine(template, folder)`.
"""

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection

from payouts import apply as apply_module
from payouts import canceling, mending
from payouts import sending as sending_module
from payouts.apply import Applier
from payouts.batch import Rules
from payouts.crediting import Change, change_owed
from payouts.errors import RefusedError
from payouts.event import read_envelope
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.request import public_id
from payouts.requesting import Source, Wish, request_payout
from payouts.sending import Sender
from payouts.states import REQUEST_TRANSITIONS, RequestStatus
from payouts.storage import inbox, migrate
from payouts.storage.engine import build_engine
from payouts.storage.inbox import NewEvent
from payouts.storage.invariants import all_invariants
from payouts.storage.queries import reading
from tests.support.machine_model import REFUSED, Crash, LivingStripe, is_live
from tests.support.money import Clock, Payer
from tests.support.small_stripe import FAULTS

PORTAL = Actor("program:portal", None, 1, frozenset({Scope.READ, Scope.CREDIT, Scope.REQUEST}))
PERSON = Actor("operator-2", 2, 2, frozenset(Scope))
PARTNERS = 2
POINTS = (
    "send.before_commit",
    "send.after_commit",
    "send.after_call",
    "apply.before_commit",
    "apply.after_commit",
)
ENDS = ("paid", "reversed", "failed", "canceled")
ROUNDS = 60
"""Of a conscientious operator, at the end: more than anything needs."""

picks = st.integers(0, 9)
amounts = st.integers(100, 5_000)


class PaymentMachine(RuleBasedStateMachine):
    """The service in this process between a Stripe that lives on and people who do what they may."""

    def __init__(self, template: Path, folder: Path) -> None:
        super().__init__()
        file = folder / "payouts.db"
        for old in folder.glob("payouts.db*"):
            old.unlink()
        shutil.copy(template, file)
        self.engine = build_engine(f"sqlite:///{file}", timeout_s=10, pool_size=2)
        sa.event.listen(self.engine, "connect", _without_waiting_for_the_disk)
        sa.event.listen(self.engine, "commit", self._note_commit)
        self.unchecked = True
        """Something was committed since the books were checked."""
        self.stripe = LivingStripe(Clock())
        self.payer = Payer(self.engine, self.stripe)
        self.clock = self.stripe.clock = self.payer.clock
        self.applier = Applier(self.engine, Rules(self.payer.make_id, self.clock, "tests:1", 20))
        self.partners: list[Partner] = []
        self.requests: list[int] = []
        self.held: dict[int, str] = {}
        """States by request id, as of the last step."""
        self.credited: dict[int, int] = {}
        self.delivered: set[int] = set()
        self.references = 0
        self.crash_at: tuple[str, int] | None = None
        self.patch = pytest.MonkeyPatch()
        for module in (sending_module, apply_module):
            self.patch.setattr(module, "crash_point", self._pass)

    @initialize(first=st.lists(st.tuples(picks, amounts, st.booleans()), min_size=2, max_size=5))
    def begin(self, first: list[tuple[int, int, bool]]) -> None:
        self.partners = [self.payer.partner(number) for number in range(1, PARTNERS + 1)]
        for partner in self.partners:
            self._credit(partner, 20_000)
        for place, amount, at_once in first:
            self.request(place, amount, at_once)

    # What the portal does

    @rule(partner=picks, amount=amounts)
    def credit(self, partner: int, amount: int) -> None:
        self._credit(self.partners[partner % PARTNERS], amount)

    @rule(partner=picks, amount=amounts, at_once=st.booleans())
    def request(self, partner: int, amount: int, at_once: bool) -> None:
        wish = Wish(self.partners[partner % PARTNERS].id, amount, Source.API)
        made: list[int] = []
        self._do(lambda c: made.append(request_payout(c, wish, PORTAL, *self._now()).id))
        self.requests += made
        if at_once and made:
            self._send(made[0])

    # What workers do, and what becomes of them

    @rule(which=picks)
    @precondition(lambda self: self._among("queued", "sending", "reversing"))
    def send(self, which: int) -> None:
        under_way = self._among("queued", "sending", "reversing")
        self._send(under_way[which % len(under_way)])

    @rule(which=picks)
    @precondition(lambda self: self.requests)
    def send_whatever_its_state(self, which: int) -> None:
        self._send(self.requests[which % len(self.requests)])

    @rule(clear=st.sampled_from([0, 0, 1]), fault=st.sampled_from([*FAULTS, REFUSED]))
    def a_call_meets_a_fault(self, clear: int, fault: str) -> None:
        self.stripe.faults += [""] * clear + [fault]

    @rule(count=st.integers(1, 3))
    def look_ups_are_lost(self, count: int) -> None:
        self.stripe.looks_lost = count

    @rule(where=st.sampled_from(["before", "after"]))
    def the_next_call_is_the_callers_last(self, where: str) -> None:
        self.stripe.crash = where

    @rule(point=st.sampled_from(POINTS), passes=st.integers(1, 4))
    def a_worker_will_die_at(self, point: str, passes: int) -> None:
        self.crash_at = (point, passes)

    # What Stripe and the banks do

    @rule(which=picks, roads=st.lists(st.integers(0, 3), min_size=1, max_size=3))
    @precondition(lambda self: self.stripe.payouts)
    def a_payout_moves_on(self, which: int, roads: list[int]) -> None:
        payouts = list(self.stripe.payouts)
        for road in roads:
            self.stripe.move(payouts[which % len(payouts)], road)

    @rule(which=picks)
    @precondition(lambda self: self._still_moving())
    def a_payout_is_paid(self, which: int) -> None:
        moving = self._still_moving()
        for _ in ("in_transit", "paid"):
            self.stripe.move(moving[which % len(moving)], 0)

    @rule(which=picks, by_reversal=st.booleans())
    @precondition(lambda self: self._paid())
    def a_paid_payout_comes_back(self, which: int, by_reversal: bool) -> None:
        paid = self._paid()
        self.stripe.move(paid[which % len(paid)], 1 if by_reversal else 2)

    @rule(order=st.randoms(use_true_random=False))
    @precondition(lambda self: len(self.delivered) < len(self.stripe.events))
    def deliver_all_that_is_new(self, order: random.Random) -> None:
        new = [place for place in range(len(self.stripe.events)) if place not in self.delivered]
        order.shuffle(new)
        self._deliver(new)

    @rule(whiches=st.lists(st.integers(0, 30), min_size=1, max_size=4))
    @precondition(lambda self: self.stripe.events)
    def deliver(self, whiches: list[int]) -> None:
        """Some events, the newest first, in one batch; the same one twice, or again, is allowed."""
        count = len(self.stripe.events)
        self._deliver([count - 1 - which % count for which in whiches])

    @rule(
        seconds=st.one_of(
            st.integers(1, 120), st.sampled_from([1_200, 4_000, 23 * 3600, 25 * 3600, 30 * 3600])
        )
    )
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_(seconds=seconds)

    # What people do

    @rule(which=picks)
    @precondition(lambda self: self._among("queued"))
    def cancel(self, which: int) -> None:
        self._verb(canceling.cancel, self._among("queued"), which)

    @rule(which=picks)
    @precondition(lambda self: self._among("returned"))
    def retry(self, which: int) -> None:
        self._verb(mending.retry, self._among("returned"), which)

    @rule(which=picks)
    @precondition(lambda self: self._among("returned"))
    def reverse(self, which: int) -> None:
        self._verb(mending.reverse, self._among("returned"), which)

    @rule(which=picks)
    @precondition(lambda self: self._among("unclear"))
    def look(self, which: int) -> None:
        self._verb(mending.look, self._among("unclear"), which)

    @rule(which=picks)
    @precondition(lambda self: self._among("unclear"))
    def release(self, which: int) -> None:
        """Only what was never made: an honest person has looked."""
        self._verb(mending.release, [r for r in self._among("unclear") if self._was_never_made(r)], which)

    # What must hold after each step

    @invariant()
    def nobody_is_paid_twice(self) -> None:
        transfers, payouts = self.stripe.transfers.values(), self.stripe.payouts
        for request_id in self.requests:
            name = public_id(request_id)
            whole = [t for t in transfers if _of(t) == name and t["amount_reversed"] < t["amount"]]
            live = [p for p in payouts.values() if _of(p) == name and is_live(p, payouts)]
            assert len(whole) <= 1, f"two transfers: {whole}"
            # One that came back and is gone again, as its reversal failed late, was nobody's to send.
            sent = [p for p in live if p["id"] not in self.stripe.taken_back]
            assert len(sent) <= 1, f"two live payouts: {live}"

    @invariant()
    def the_books_are_sound(self) -> None:
        if not self.unchecked:
            return
        with reading(self.engine) as connection:
            broken = {
                name: found
                for name, promise in all_invariants().items()
                if (found := list(promise.find(connection)))
            }
            assert not broken, f"`payouts ledger check` finds {broken}"
            _check_postings(connection)
            self.held = _check_history(connection)
            _check_nothing_is_stuck(connection)
        self.unchecked = False

    @invariant()
    def every_credited_cent_is_somewhere(self) -> None:
        for partner in self.partners:
            held = self.payer.balances(partner)
            claim = ("owed", "in_transit", "paid", "returned", "overpaid")
            somewhere = sum(held.get(kind, 0) for kind in claim)
            assert somewhere == self.credited[partner.id], held

    def teardown(self) -> None:
        try:
            self._come_to_rest()
        finally:
            self.patch.undo()
            self.engine.dispose()

    def _come_to_rest(self) -> None:
        """All faults are over, every event arrives, and an operator tidies up: all ends well."""
        self.stripe.faults.clear()
        self.stripe.crash = self.crash_at = None
        self.stripe.looks_lost = 0
        for turn in range(ROUNDS):
            self._tidy_up(turn)
            if not set(self._states().values()) - set(ENDS) and not self._still_moving():
                break
        self._deliver_the_rest()
        self.nobody_is_paid_twice()
        self.the_books_are_sound()
        self.every_credited_cent_is_somewhere()
        self._agrees_with_stripe()

    def _tidy_up(self, turn: int) -> None:
        self.clock.pass_(hours=2)
        for request_id in self._in("queued", "sending", "reversing"):
            self._send(request_id)
        for payout_id in self._still_moving():
            self.stripe.move(payout_id, 0)
        self._deliver_the_rest()
        for request_id in self._in("unclear"):
            verb = mending.release if self._was_never_made(request_id) else mending.look
            self._verb(verb, [request_id], 0)
        for place, request_id in enumerate(self._in("returned")):
            self._verb(mending.reverse if (place + turn) % 2 else mending.retry, [request_id], 0)

    def _agrees_with_stripe(self) -> None:
        with self.engine.connect() as connection:
            sql = "SELECT id, account, status, amount_minor, blocked FROM payout_requests"
            requests = connection.execute(sa.text(sql)).all()
        payouts = self.stripe.payouts
        live = Counter(_of(p) for p in payouts.values() if is_live(p, payouts))
        for partner in self.partners:
            held = self.payer.balances(partner)
            mine = [row for row in requests if row.account == partner.account]
            left = [row for row in mine if row.status not in ENDS]
            if left:
                # Only money that a failed reversal took from the account can be missing for ever.
                assert held.get("overpaid", 0) > 0, f"still not at rest: {left}"
                assert {row.blocked for row in left} <= {"account_balance", "partner_busy"}, left
            paid = [row for row in mine if row.status == "paid"]
            assert all(live[public_id(row.id)] for row in paid), paid
            out_minor = sum(live[public_id(row.id)] * row.amount_minor for row in mine)
            paid_minor = sum(row.amount_minor for row in paid)
            expected = {
                "at_bank": self.stripe.out_minor(partner.account),
                "at_stripe": self.stripe.balance_minor(partner.account),
                "paid": paid_minor,
                "overpaid": out_minor - paid_minor,
                "in_transit": sum(r.amount_minor for r in left if r.status in ("queued", "sending")),
                "returned": sum(r.amount_minor for r in left if r.status in ("returned", "reversing")),
            }
            assert {kind: held.get(kind, 0) for kind in expected} == expected

    # How all this is done

    def _credit(self, partner: Partner, amount: int) -> None:
        self.references += 1
        change = Change(amount, partner.currency, f"order-{self.references}")
        self._do(lambda c: change_owed(c, partner, change, PORTAL, *self._now()))
        self.credited[partner.id] = self.credited.get(partner.id, 0) + amount

    def _send(self, request_id: int) -> None:
        """By a worker that may die; whoever sends next is another one."""
        self._mortal(lambda: self.payer.sender.send(request_id))
        self.payer.sender = Sender(self.engine, self.stripe, self.payer.rules)

    def _deliver(self, places: list[int]) -> None:
        ids = [self._receive(self.stripe.events[place]) for place in places]
        self.delivered |= set(places)
        self._mortal(lambda: self.applier.apply(ids))

    def _receive(self, body: bytes) -> int:
        envelope = read_envelope(body)
        event = NewEvent(self.payer.make_id(), envelope, inbox.WEBHOOK, None, self.clock(), body)
        with self.engine.begin() as connection:
            inbox.add_events(connection, [event], self.payer.make_id)
        return int(self.payer.value("SELECT id FROM inbox WHERE event_id = :id", id=envelope.event_id))

    def _deliver_the_rest(self) -> None:
        missing = [place for place in range(len(self.stripe.events)) if place not in self.delivered]
        if missing:
            self._deliver(missing)
        with self.engine.connect() as connection:
            waiting = list(connection.scalars(sa.text("SELECT id FROM inbox WHERE processed_at_ms IS NULL")))
        self._mortal(lambda: self.applier.apply(waiting))

    def _mortal(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Crash:
            self.crash_at = None

    def _pass(self, point: str) -> None:
        """A crash point: once it was passed as often as was said, the process ends there."""
        if self.crash_at is None or self.crash_at[0] != point:
            return
        left = self.crash_at[1] - 1
        self.crash_at = (point, left)
        if left == 0:
            raise Crash

    def _verb(self, verb: Callable[..., Any], among: list[int], which: int) -> None:
        if among:
            request_id = among[which % len(among)]
            self._do(lambda c: verb(c, request_id, PERSON, "looked into", *self._now()))

    def _do(self, work: Callable[[Connection], object]) -> None:
        """In one transaction; what the service refuses leaves nothing behind."""
        try:
            with self.engine.begin() as connection:
                work(connection)
        except RefusedError:
            return

    def _note_commit(self, _connection: Connection) -> None:
        self.unchecked = True

    def _now(self) -> tuple[Any, int]:
        return self.payer.make_id, self.clock()

    def _states(self) -> dict[int, str]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT id, status FROM payout_requests ORDER BY id"))
            return {row.id: row.status for row in rows}

    def _in(self, *states: str) -> list[int]:
        return [request_id for request_id, state in self._states().items() if state in states]

    def _among(self, *states: str) -> list[int]:
        return [request_id for request_id, state in self.held.items() if state in states]

    def _was_never_made(self, request_id: int) -> bool:
        sql = "SELECT leg_id FROM leg_attempts WHERE request_id = :id AND status = 'open'"
        with self.engine.connect() as connection:
            legs = connection.scalars(sa.text(sql), {"id": request_id}).all()
        return not any(self.stripe.has_leg(leg_id) for leg_id in legs)

    def _paid(self) -> list[str]:
        return [key for key, payout in self.stripe.payouts.items() if payout["status"] == "paid"]

    def _still_moving(self) -> list[str]:
        return [key for key, p in self.stripe.payouts.items() if p["status"] in ("pending", "in_transit")]


def _of(made: dict[str, Any]) -> str:
    return str(made["metadata"].get("payout_id", ""))


def _check_postings(connection: Connection) -> None:
    """By SQL of the test's own, so that it shares no mistake with the service's."""
    uneven = "SELECT transaction_id FROM postings GROUP BY transaction_id HAVING SUM(amount_minor) <> 0"
    assert connection.execute(sa.text(uneven)).all() == []
    kept = (
        "SELECT a.kind, a.balance_minor, SUM(p.amount_minor) FROM ledger_accounts a "
        "JOIN postings p ON p.ledger_account_id = a.id WHERE a.partner_id <> 0 "
        "GROUP BY a.id HAVING a.balance_minor <> SUM(p.amount_minor)"
    )
    assert connection.execute(sa.text(kept)).all() == []


def _check_history(connection: Connection) -> dict[int, str]:
    """The moves on record lead, each by the table of transitions, from nothing to the state held: these."""
    at: dict[int, str | None] = {}
    sql = "SELECT request_id, from_status, to_status FROM request_transitions ORDER BY id"
    for request_id, old, new in connection.execute(sa.text(sql)):
        assert at.get(request_id) == old
        known = None if old is None else RequestStatus(old)
        assert new in REQUEST_TRANSITIONS.get(known, ()), f"{old} → {new}"
        at[request_id] = new
    held = connection.execute(sa.text("SELECT id, status FROM payout_requests")).all()
    states = {row.id: row.status for row in held}
    assert at == states
    return states


def _check_nothing_is_stuck(connection: Connection) -> None:
    """Nothing here is anybody's fault, so no event may die and no request meet an error of the service."""
    dead = "SELECT type, last_error FROM inbox WHERE status IN ('dead', 'retrying')"
    assert connection.execute(sa.text(dead)).all() == []
    errors = "SELECT id, blocked_text FROM payout_requests WHERE blocked = 'error'"
    assert connection.execute(sa.text(errors)).all() == []


def _without_waiting_for_the_disk(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[], PaymentMachine]:
    """Makes machines, one after the other, each on a fresh copy of one migrated file."""
    template = tmp_path / "template.db"
    engine = build_engine(f"sqlite:///{template}", timeout_s=10, pool_size=1)
    migrate.upgrade(engine)
    engine.dispose()  # the last one out writes the log into the file
    folder = tmp_path / "run"
    folder.mkdir()
    return lambda: PaymentMachine(template, folder)


def _run(machine: Callable[[], PaymentMachine], examples: int, steps: int) -> None:
    effort = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    # Any maker of machines will do, though the annotation asks for a class.
    run_state_machine_as_test(cast(type[RuleBasedStateMachine], machine), settings=effort)


def test_whatever_happens_in_whatever_order_nobody_is_paid_twice(
    machine: Callable[[], PaymentMachine],
) -> None:
    _run(machine, examples=30, steps=40)


@pytest.mark.long
def test_whatever_happens_for_long_in_whatever_order_nobody_is_paid_twice(
    machine: Callable[[], PaymentMachine],
) -> None:
    _run(machine, examples=2_000, steps=80)
