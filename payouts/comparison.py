"""Objects of Stripe's against our rows: what a page of a list, or one object, shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from payouts.budget import Budget
from payouts.calls import METADATA_LEG
from payouts.clock import Clock
from payouts.comparing import Verdict, compare_payout, compare_transfer, missing_at_stripe
from payouts.difference import DifferenceKind, Finding
from payouts.event import PayoutObject, id_of
from payouts.gateway import StripeGateway
from payouts.healing import FoundTransfer
from payouts.leg import Leg
from payouts.states import RANK, PayoutStatus
from payouts.storage.books_pages import open_reversal_of, payouts_by_stripe_id
from payouts.storage.columns import PLATFORM
from payouts.storage.queries import reading
from payouts.storage.request_rows import legs_by_id, legs_by_stripe_id
from payouts.transfer import ReversalObject, TransferObject, leg_id_in, read_reversal_object


@dataclass(frozen=True, slots=True)
class Heal:
    """A difference that is healed by settling an object as Stripe has it."""

    finding: Finding
    found: PayoutObject | FoundTransfer


class Comparison:
    """Compares objects of one account, asked for after it was made; collects what differs."""

    def __init__(
        self, engine: Engine, gateway: StripeGateway, account: str, budget: Budget, clock: Clock
    ) -> None:
        self.account = account
        self.findings: list[Finding] = []
        self.heals: list[Heal] = []
        self._engine = engine
        self._gateway = gateway
        self._budget = budget
        self._asked_at_ms = clock()

    def one(self, stripe_id: str) -> None:
        """Ask Stripe for one payout or transfer and compare it."""
        self._budget.take()
        if stripe_id.startswith("tr_"):
            transfer = self._gateway.transfer_if_any(stripe_id)
            if transfer is None:
                self._missing(stripe_id)
            else:
                self.transfers([transfer])
            return
        payout = self._gateway.payout_if_any(stripe_id, stripe_account(self.account))
        if payout is None:
            self._missing(stripe_id)
        else:
            self.payouts([payout])

    def payouts(self, seen: Sequence[PayoutObject]) -> None:
        """Compare payouts of the account."""
        seen = [*self._originals(seen), *seen]
        with reading(self._engine) as connection:
            held = payouts_by_stripe_id(connection, [payout.id for payout in seen])
        legs = self._legs(seen)
        for payout in seen:
            row, leg = held.get(payout.id), legs.get(payout.id)
            if row is not None and row.updated_at_ms > self._asked_at_ms:
                continue  # an event was faster than Stripe's answer
            verdict = compare_payout(self.account, payout, row, leg)
            if verdict is not None and verdict.heals:
                self.heals.append(Heal(verdict.finding, payout))
            elif verdict is not None:
                self.findings.append(verdict.finding)

    def transfers(self, seen: Sequence[TransferObject]) -> None:
        """Compare transfers of the platform."""
        legs = self._legs(seen)
        for transfer in seen:
            leg = legs.get(transfer.id)
            if leg is not None and leg.updated_at_ms > self._asked_at_ms:
                continue
            verdict = compare_transfer(transfer, leg)
            if verdict is None:
                continue
            reversal = self._reversal(verdict, transfer, leg)
            if leg is not None and (verdict.heals or reversal is not None):
                self.heals.append(Heal(verdict.finding, FoundTransfer(transfer, leg, reversal)))
            else:
                self.findings.append(verdict.finding)

    def _originals(self, seen: Sequence[PayoutObject]) -> list[PayoutObject]:
        """What is reversed by one of these, and by our books was not paid yet: that comes first."""
        there = {payout.id for payout in seen}
        wanted = {id_of(payout.original_payout) for payout in seen if payout.amount < 0} - there
        with reading(self._engine) as connection:
            held = payouts_by_stripe_id(connection, [key for key in wanted if key])
        late = [key for key, payout in held.items() if RANK[payout.status] < RANK[PayoutStatus.PAID]]
        found = []
        for stripe_id in sorted(late):
            self._budget.take()
            original = self._gateway.payout_if_any(stripe_id, stripe_account(self.account))
            found += [original] if original is not None else []
        return found

    def _reversal(
        self, verdict: Verdict, transfer: TransferObject, leg: Leg | None
    ) -> tuple[Leg, ReversalObject] | None:
        """The reversal that an open leg of the same request waits for, where Stripe has made it."""
        more = leg is not None and transfer.amount_reversed > leg.reversed_minor
        if leg is None or not more or verdict.finding.kind != DifferenceKind.REVERSED_AMOUNT:
            return None
        with reading(self._engine) as connection:
            open_leg = open_reversal_of(connection, leg.request_id)
        if open_leg is None:
            return None
        self._budget.take()
        body = self._gateway.find_reversal(transfer.id, open_leg.id)
        return None if body is None else (open_leg, read_reversal_object(body))

    def _missing(self, stripe_id: str) -> None:
        with reading(self._engine) as connection:
            payout = payouts_by_stripe_id(connection, [stripe_id]).get(stripe_id)
            leg = legs_by_stripe_id(connection, [stripe_id]).get(stripe_id)
        ours = payout or leg
        if ours is not None:
            self.findings.append(missing_at_stripe(self.account, stripe_id, ours.amount_minor, ours.currency))

    def _legs(self, seen: Sequence[PayoutObject | TransferObject]) -> dict[str, Leg]:
        """The legs that hold these objects, else those that the objects name."""
        with reading(self._engine) as connection:
            known = legs_by_stripe_id(connection, {each.id for each in seen})
            named = {each.id: leg_id_in(each.metadata, METADATA_LEG) for each in seen if each.id not in known}
            legs = legs_by_id(connection, {leg_id for leg_id in named.values() if leg_id is not None})
        return known | {key: legs[leg_id] for key, leg_id in named.items() if leg_id in legs}


def stripe_account(account: str) -> str | None:
    """How the gateway names an account: None for the platform's own."""
    return None if account == PLATFORM else account
