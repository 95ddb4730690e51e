"""Where partners are written to, and what is found out about their addresses."""

from dataclasses import dataclass

from sqlalchemy import Engine

from payouts.bouncing import mark_bouncing
from payouts.clock import Clock
from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.storage.partner_rows import find_partner
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction


@dataclass(frozen=True, slots=True)
class Addresses:
    """The partners of a database, as those who get mail."""

    engine: Engine
    make_id: IdMaker
    clock: Clock

    def partner_of(self, account: str) -> Partner | None:
        """The partner with this Stripe account; None where it is not registered."""
        if not account.startswith("acct_"):
            return None
        with reading(self.engine) as connection:
            return find_partner(connection, account)

    def came_back(self, partner_id: int, address: str, why: str, at_ms: int | None = None) -> bool:
        """Mail to `address` came back (`at_ms`: when, else now); whether it was written to until now."""
        now_ms = self.clock()
        return in_transaction(
            self.engine,
            lambda connection: mark_bouncing(
                connection, partner_id, address, why, now_ms if at_ms is None else at_ms, self.make_id, now_ms
            ),
        )
