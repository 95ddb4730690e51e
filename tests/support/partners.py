"""Partners that are registered and credited as the portal does it."""

from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from payouts.crediting import Change, Posted, change_owed
from payouts.ids import IdMaker
from payouts.ledger import LedgerKind
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.registering import NewPartner, register
from payouts.storage.ledger_rows import partner_balances
from payouts.storage.unit import in_transaction

NOW_MS = 1_790_000_000_000
"""2026-09-21T14:13:20Z, a Monday."""
OPERATOR = Actor("operator", 1, 1, frozenset(Scope))
T = TypeVar("T")


class Desk:
    """A database, and an operator who registers and credits."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.make_id = IdMaker()
        self.now_ms = NOW_MS

    def do(self, work: Callable[[Connection], T]) -> T:
        """In one transaction, again where the database asks for it."""
        return in_transaction(self.engine, work)

    def partner(self, number: int = 1, currency: str = "eur") -> Partner:
        wanted = NewPartner(
            f"partner-{number}", f"acct_{number}", f"Partner {number}", f"p{number}@example.com", currency
        )
        return self.do(lambda c: register(c, wanted, OPERATOR, self.make_id, self.now_ms))

    def change(self, partner: Partner, amount_minor: int, reference: str, **more: Any) -> Posted:
        change = Change(amount_minor, more.pop("currency", partner.currency), reference, **more)
        return self.do(lambda c: change_owed(c, partner, change, OPERATOR, self.make_id, self.now_ms))

    def owed(self, partner: Partner) -> int:
        with self.engine.connect() as connection:
            return partner_balances(connection, partner.id).get((partner.currency, LedgerKind.OWED), 0)

    def value(self, sql: str, **parameters: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(sa.text(sql), parameters).scalar()
