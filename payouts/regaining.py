"""Closing the gap after a restore: what Stripe knows and the database lost, step by step.

One call takes one piece: a page of a list, or an account. Each piece is recorded together with the place to
go on from, and doing one twice changes nothing; so what is cut short goes on where it stopped.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine

from payouts.books import Books
from payouts.budget import Budget
from payouts.calls import Doubt
from payouts.clock import Clock
from payouts.comparing import Verdict, compare_payout, compare_transfer
from payouts.comparison import stripe_account
from payouts.difference import DifferenceKind, Finding
from payouts.errors import GatewayError, RefusedError
from payouts.event import PayoutObject, id_of
from payouts.gateway import StripeGateway, Window
from payouts.healing import FoundTransfer, settle_payouts, settle_transfers
from payouts.holding import hold_account
from payouts.ids import IdMaker
from payouts.leg import Leg
from payouts.logs import get_logger
from payouts.reattaching import attach_payout, attach_transfer, named_leg, named_request
from payouts.reconciling import LOOKBACK_S, Reconciler
from payouts.recovery import Recovery, RecoveryStep
from payouts.states import AttemptStatus, LegKind
from payouts.storage import difference_rows, recovery_rows
from payouts.storage.books_pages import open_reversal_of
from payouts.storage.catch_up_rows import find_walk
from payouts.storage.columns import PLATFORM
from payouts.storage.queries import reading
from payouts.storage.request_rows import legs_by_id, legs_by_stripe_id
from payouts.storage.round_rows import partner_after
from payouts.storage.unit import in_transaction
from payouts.transfer import TransferObject
from payouts.walk import Cause
from payouts.walking import Walker
from payouts.walks import Wish, begin

BY = "system:recovery"
"""The actor of the walks and holds that closing a gap takes."""
WALK_KEY = "recovery"
CLOCKS_DIFFER_S = 60
ATTEMPTS_AT_ONCE = 200
READS_AT_ONCE = 50
_MORE = "more"


@dataclass(slots=True)
class Piece:
    """What one piece came to. `position`: where the account goes on; None: through with it."""

    position: str | None = None
    attached: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Regainer:
    """Closes the gap. Any number may be at it; safe to use from threads.

    `settle_ms`: how long after the beginning the first look comes: longer than a call to Stripe with its time
    limits, so that what was under way then has arrived.
    """

    engine: Engine
    gateway: StripeGateway
    make_id: IdMaker
    clock: Clock
    walker: Walker
    reconciler: Reconciler
    settle_ms: int

    def wait_ms(self, recovery: Recovery) -> int:
        """How long it is too early yet to look."""
        return max(0, recovery.began_at_ms + self.settle_ms - self.clock())

    def step(self, run_by: str) -> Recovery | None:
        """Take one piece; the recovery as it is then, None where none is open.

        Nothing happens while it is too early, or once all is done. `run_by`: who is not the one to end it.
        Raises GatewayError where Stripe gives no answer for the moment.
        """
        with reading(self.engine) as connection:
            held = recovery_rows.open_recovery(connection)
        if held is None or held.step == RecoveryStep.DONE or self.wait_ms(held):
            return held
        piece = self._take(held)
        return in_transaction(self.engine, lambda connection: self._record(connection, held, piece, run_by))

    def _take(self, held: Recovery) -> Piece:
        takers: dict[RecoveryStep, Callable[[Recovery], Piece]] = {
            RecoveryStep.TRANSFERS: self._transfers,
            RecoveryStep.PAYOUTS: self._payouts,
            RecoveryStep.REVERSALS: self._reversals,
            RecoveryStep.ATTEMPTS: self._attempts,
            RecoveryStep.EVENTS: self._events,
            RecoveryStep.COMPARE: self._compare,
        }
        return takers[held.step](held)

    def _record(self, connection: Connection, before: Recovery, piece: Piece, run_by: str) -> Recovery | None:
        held = recovery_rows.lock_open_recovery(connection)
        if held is None or _place(held) != _place(before):
            return held  # somebody else took the same piece
        held = dataclasses.replace(
            held,
            run_by=run_by,
            attached=held.attached + piece.attached,
            unknown=held.unknown + piece.unknown,
        )
        if piece.position is not None:
            held = held.at(piece.position)
        else:
            held = held.through(partner_after(connection, held.partner_id), self.clock())
        recovery_rows.RECOVERIES.save(connection, [held])
        if held.step != before.step:
            get_logger().info("recovery.step_over", step=before.step, next=held.step)
        return held

    def _transfers(self, held: Recovery) -> Piece:
        page = self.gateway.transfers_page(self._window(held), held.position)
        piece = Piece(page.after)
        legs = self._legs(page.objects)
        for seen in page.objects:
            if named_leg(seen) is None:
                continue
            leg = legs.get(seen.id)
            if leg is None:
                attach = partial(attach_transfer, make_id=self.make_id, now_ms=self.clock(), seen=seen)
                account = str(id_of(seen.destination) or PLATFORM)
                self._attach(piece, seen, account, attach, compare_transfer(seen, None))
            else:
                self._heal(compare_transfer(seen, leg), FoundTransfer(seen, leg))
        return piece

    def _payouts(self, held: Recovery) -> Piece:
        piece, account = Piece(), held.next_account
        if account == PLATFORM:
            return piece  # nothing of ours is paid out from there
        try:
            found = self._all_payouts(held, account)
        except GatewayError as error:
            if error.transient or error.blocked:
                raise
            self._hold(account, f"its payouts cannot be read after a restore: {error}")
            return piece
        for seen in sorted(found, key=lambda each: (each.created or 0, each.id)):
            if named_leg(seen) is None:
                continue
            if seen.id not in self._legs([seen]):
                self._settle_earlier(account, seen)
                attach = partial(
                    attach_payout, make_id=self.make_id, now_ms=self.clock(), account=account, seen=seen
                )
                self._attach(piece, seen, account, attach, compare_payout(account, seen, None, None))
            else:
                self._settle(account, [seen])
        return piece

    def _all_payouts(self, held: Recovery, account: str) -> list[PayoutObject]:
        window, after = self._window(held), None
        found: list[PayoutObject] = []
        while True:
            page = self.gateway.payouts_page(stripe_account(account), window, after)
            found += page.objects
            after = page.after
            if after is None:
                return found

    def _settle_earlier(self, account: str, seen: PayoutObject) -> None:
        """What the same request was paid out by before, however old: it has failed, if `seen` is its own."""
        with reading(self.engine) as connection:
            before = recovery_rows.payouts_of_request(connection, named_request(seen) or 0)
        for stripe_id in before:
            found = self.gateway.payout_if_any(stripe_id, stripe_account(account))
            if found is not None:
                self._settle(account, [found])

    def _settle(self, account: str, found: Sequence[PayoutObject]) -> None:
        in_transaction(self.engine, lambda c: settle_payouts(c, self.make_id, self.clock(), account, found))

    def _reversals(self, held: Recovery) -> Piece:
        page = self.gateway.transfers_page(self._window(held), held.position)
        legs = self._legs([seen for seen in page.objects if seen.amount_reversed])
        for seen in page.objects:
            leg = legs.get(seen.id)
            if leg is not None and leg.kind == LegKind.TRANSFER and leg.stripe_id == seen.id:
                if self._is_being_taken_back(leg):
                    continue  # its attempt is looked for, and then both are recorded together
                in_transaction(
                    self.engine, partial(self._reversed, leg=leg, total_minor=seen.amount_reversed)
                )
        return Piece(page.after)

    def _is_being_taken_back(self, leg: Leg) -> bool:
        with reading(self.engine) as connection:
            return open_reversal_of(connection, leg.request_id) is not None

    def _reversed(self, connection: Connection, leg: Leg, total_minor: int) -> None:
        books = Books(connection, self.make_id, self.clock())
        books.load([leg.request_id])
        books.transfer_reversed(leg, total_minor)
        books.write()

    def _attempts(self, held: Recovery) -> Piece:
        after_id = int(held.position or 0)
        last_id = in_transaction(self.engine, lambda c: self._only_looked_for(c, after_id, held.began_at_ms))
        return Piece(None if last_id is None else str(last_id))

    def _only_looked_for(self, connection: Connection, after_id: int, before_ms: int) -> int | None:
        found = recovery_rows.open_attempts_after(connection, after_id, before_ms, ATTEMPTS_AT_ONCE)
        books = Books(connection, self.make_id, self.clock())
        books.load({request_id for _, request_id in found})
        for attempt_id, request_id in found:
            attempt = books.attempts[attempt_id]
            if attempt.status == AttemptStatus.OPEN:
                books.change_attempt(attempt, error_code=Doubt.RESTORED)
                books.change_request(books.requests[request_id], due_at_ms=books.now_ms)
        books.write()
        return found[-1][0] if len(found) == ATTEMPTS_AT_ONCE else None

    def _events(self, held: Recovery) -> Piece:
        if held.position is None:
            until_s = self.clock() // 1000
            wish = Wish(held.next_account, Cause.COMMAND, WALK_KEY, BY, min(held.since_s, until_s), until_s)
            try:
                walk = in_transaction(self.engine, lambda c: begin(c, wish, self.make_id, self.clock()))
            except RefusedError as error:
                get_logger().warning("recovery.not_walked", account=held.next_account, why=str(error))
                return Piece()
            return Piece(str(walk.id))
        walk_id = int(held.position)
        moved = self.walker.step(walk_id)
        if moved is None:  # somebody else moved it
            with reading(self.engine) as connection:
                moved = find_walk(connection, walk_id)
        return Piece(held.position if moved is not None and moved.is_open else None)

    def _compare(self, held: Recovery) -> Piece:
        since_s = None
        if held.position is None:
            since_s = min(held.since_s, self.clock() // 1000 - LOOKBACK_S)
        if held.next_account == PLATFORM and held.position is None:
            self.reconciler.find_late()
        done = self.reconciler.compare(held.next_account, Budget(READS_AT_ONCE), since_s)
        return Piece(None if done else _MORE)

    def _window(self, held: Recovery) -> Window:
        # Nothing is made meanwhile, so its end may move from page to page.
        return Window(held.since_s, self.clock() // 1000 + CLOCKS_DIFFER_S)

    def _legs(self, seen: Sequence[TransferObject | PayoutObject]) -> dict[str, Leg]:
        """The legs that hold these objects, else those that they name."""
        with reading(self.engine) as connection:
            known = legs_by_stripe_id(connection, {each.id for each in seen})
            named = {each.id: named_leg(each) for each in seen if each.id not in known}
            legs = legs_by_id(connection, {leg_id for leg_id in named.values() if leg_id is not None})
        return known | {key: legs[leg_id] for key, leg_id in named.items() if leg_id in legs}

    def _heal(self, verdict: Verdict | None, found: FoundTransfer) -> None:
        if verdict is not None and verdict.heals:
            in_transaction(self.engine, lambda c: settle_transfers(c, self.make_id, self.clock(), [found]))

    def _attach(
        self,
        piece: Piece,
        seen: TransferObject | PayoutObject,
        account: str,
        attach: Callable[[Connection], str | None],
        verdict: Verdict | None,
    ) -> None:
        trouble = in_transaction(self.engine, attach)
        if trouble is None:
            piece.attached += 1
            get_logger().info("recovery.attached", stripe_id=seen.id, leg_id=named_leg(seen))
            return
        piece.unknown += 1
        get_logger().error("recovery.unknown", stripe_id=seen.id, account=account, why=trouble)
        self._report(verdict)
        self._hold(account, f"Stripe has {seen.id}, and {trouble} since the database was restored")

    def _report(self, verdict: Verdict | None) -> None:
        if verdict is not None and verdict.finding.kind == DifferenceKind.MISSING_HERE:
            findings: list[Finding] = [verdict.finding]
            in_transaction(
                self.engine, lambda c: difference_rows.report(c, findings, self.make_id, self.clock())
            )

    def _hold(self, account: str, reason: str) -> None:
        in_transaction(
            self.engine, lambda c: hold_account(c, account, BY, reason, self.make_id, self.clock())
        )


def _place(recovery: Recovery) -> tuple[object, ...]:
    return recovery.id, recovery.step, recovery.next_account, recovery.position
