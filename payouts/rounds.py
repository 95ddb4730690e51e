"""Rounds: every partner's account is compared in turn, and Stripe is never asked more than was allowed.

A round begins with the platform and goes on after the partner at which the last one stopped, in the order of
their ids. It takes many small steps, each a message of its own, so that no worker is held for long.
"""

import dataclasses
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.budget import Budget
from payouts.clock import Clock
from payouts.errors import GatewayError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.reconciling import Reconciler
from payouts.storage import round_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.round_rows import Round
from payouts.storage.unit import in_transaction

STEP_READS = 50
"""Answers of Stripe's that one step asks for: seconds, even when Stripe is slow."""
STALE_MS = 300_000
"""A round that has not moved for so long lost its message. Longer than the lease of an account."""
PLATFORM_SHARE = 2
"""The platform's transfers take a half of what may be asked at the most: the partners have their turn."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """Which account is compared next. Any number may ask at once."""

    engine: Engine
    make_id: IdMaker
    clock: Clock
    every_ms: int
    reads_most: int

    def due(self) -> str | None:
        """The account to send a message for: a round begins, or one that stands still goes on."""
        return in_transaction(self.engine, self._due)

    def step(self, account: str, reconciler: Reconciler) -> str | None:
        """Compare `account` a step further; the account to go on with, None where nothing follows now."""
        held = in_transaction(self.engine, round_rows.open_round)
        if held is None or held.next_account != account:
            return None
        if account == PLATFORM and held.reads == 0:
            reconciler.find_late()
        budget = Budget(min(STEP_READS, self._left(held)))
        try:
            done = reconciler.compare(account, budget)
        except GatewayError as error:
            get_logger().warning("reconcile.no_answer", account=account, error=str(error))
            self._note(account, budget, done=not error.blocked, go_on=not error.blocked)
            return None  # no haste: the scheduler goes on with the round
        return self._note(account, budget, done=done, go_on=True)

    def _due(self, connection: Connection) -> str | None:
        now_ms = self.clock()
        held = round_rows.open_round(connection)
        if held is None:
            begun = round_rows.begin_round(connection, self.make_id, now_ms, self.every_ms)
            return begun.next_account if begun else None
        if held.moved_at_ms + STALE_MS > now_ms:
            return None
        round_rows.save_round(connection, dataclasses.replace(held, moved_at_ms=now_ms))
        return held.next_account

    def _note(self, account: str, budget: Budget, *, done: bool, go_on: bool) -> str | None:
        def note(connection: Connection) -> str | None:
            held = round_rows.open_round(connection)
            if held is None:
                return None
            is_mine = held.next_account == account
            held = dataclasses.replace(held, reads=held.reads + budget.used, moved_at_ms=self.clock())
            if not is_mine:  # a message that came twice: the other one goes on
                round_rows.save_round(connection, held)
                return None
            return self._following(connection, held, done=done, go_on=go_on)

        return in_transaction(self.engine, note)

    def _following(self, connection: Connection, held: Round, *, done: bool, go_on: bool) -> str | None:
        is_platform = held.next_account == PLATFORM
        if done and not is_platform:
            partner_id = round_rows.partner_id_of(connection, held.next_account)
            held = dataclasses.replace(held, partner_id=partner_id or held.partner_id)
        enough = self._left(held) <= 0
        if go_on and not done and not enough:
            round_rows.save_round(connection, held)
            return held.next_account
        following = round_rows.partner_after(connection, held.partner_id)
        if following is None:
            held = dataclasses.replace(held, partner_id=0)
        if following is None or not go_on or (enough and not is_platform) or held.reads >= self.reads_most:
            round_rows.end_round(connection, held, self.clock())
            get_logger().info("reconcile.round_over", reads=held.reads, all_done=following is None)
            return None
        account = following[1]
        round_rows.save_round(connection, dataclasses.replace(held, next_account=account))
        return account

    def _left(self, held: Round) -> int:
        most = self.reads_most // PLATFORM_SHARE if held.next_account == PLATFORM else self.reads_most
        return most - held.reads
