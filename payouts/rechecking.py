"""One payout compared with Stripe, at a person's word: all that its request has there, whatever its age."""

from dataclasses import dataclass

from sqlalchemy import Engine

from payouts.budget import Budget
from payouts.clock import Clock
from payouts.difference import Finding
from payouts.errors import NotFoundError
from payouts.event import read_payout_object
from payouts.gateway import StripeGateway
from payouts.leg import Leg
from payouts.reconciling import Reconciler
from payouts.request import public_id, row_id_of
from payouts.states import LegKind, LegStatus
from payouts.storage.books_pages import payouts_by_stripe_id
from payouts.storage.columns import PLATFORM
from payouts.storage.queries import reading
from payouts.storage.request_rows import legs_of, partner_ids_of
from payouts.transfer import read_transfer_object

WINDOW_BEFORE_S = 3_600
"""Before its leg was begun, by Stripe's clock: where a payout can lie at the earliest."""


@dataclass(frozen=True, slots=True)
class Rechecker:
    """Compares single payouts."""

    engine: Engine
    gateway: StripeGateway
    reconciler: Reconciler
    clock: Clock

    def recheck(self, key: str, budget: Budget, account: str | None = None) -> list[Finding]:
        """Compare `pay_…`, `po_…` or `tr_…`; what differs and did not heal.

        `account`: where a payout lies that is not known here. Raises NotFoundError, GatewayError.
        """
        found = []
        for where, stripe_id in self._objects(key, budget, account):
            found += self.reconciler.compare_one(where, stripe_id, budget)
        return found

    def _objects(self, key: str, budget: Budget, account: str | None) -> list[tuple[str, str]]:
        if key.startswith("tr_"):
            return [(PLATFORM, key)]
        if key.startswith("po_"):
            with reading(self.engine) as connection:
                held = payouts_by_stripe_id(connection, [key]).get(key)
            where = held.account if held else account
            if where is None:
                raise NotFoundError(f"there is no payout {key} here: name the account it lies on")
            return [(where, key)]
        request_id = row_id_of(key)
        with reading(self.engine) as connection:
            if request_id is None or not partner_ids_of(connection, [request_id]):
                raise NotFoundError(f"there is no payout {key}: give it as pay_…, po_… or tr_…")
            legs = legs_of(connection, [request_id])
        objects = [(leg, leg.stripe_id or self._find(leg, budget)) for leg in legs]
        return [
            (PLATFORM if leg.kind == LegKind.TRANSFER else leg.account, stripe_id)
            for leg, stripe_id in objects
            if stripe_id is not None and leg.kind != LegKind.REVERSAL  # its transfer shows it
        ]

    def _find(self, leg: Leg, budget: Budget) -> str | None:
        """Stripe's id of what an open leg asked for, if it was made."""
        if leg.status != LegStatus.OPEN or leg.kind == LegKind.REVERSAL:
            return None
        budget.take()
        if leg.kind == LegKind.TRANSFER:
            body = self.gateway.find_transfer(public_id(leg.request_id), leg.id)
            return read_transfer_object(body).id if body else None
        since_s = leg.created_at_ms // 1000 - WINDOW_BEFORE_S
        body = self.gateway.find_payout(leg.account, leg.id, since_s, self.clock() // 1000)
        return read_payout_object(body).id if body else None
