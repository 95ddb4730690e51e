"""Partners with money, and requests, put straight into the tables: for tests that begin at sending."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from payouts import ledger
from payouts.desk import SendingRules
from payouts.gateway import StripeGateway
from payouts.ids import IdMaker
from payouts.ledger import Entry, LedgerKind
from payouts.partner import Partner, PartnerState
from payouts.readiness import GateRules
from payouts.request import PayoutRequest
from payouts.sending import Sender
from payouts.states import RequestStatus
from payouts.storage.ledger_rows import partner_balances, post
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.request_rows import REQUESTS

NOW_MS = 1_790_000_000_000


@dataclass
class Clock:
    """A clock that is moved by hand."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms

    def pass_(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        self.now_ms += int(((hours * 60 + minutes) * 60 + seconds) * 1000)


class Payer:
    """A database with partners, a clock, a gateway, and the sender between them."""

    def __init__(self, engine: Engine, gateway: StripeGateway, **rules: Any) -> None:
        self.engine, self.gateway, self.clock = engine, gateway, Clock()
        self.make_id = IdMaker()
        gate = GateRules(cooling_off_ms=0, bank_approval=False)
        self.rules = SendingRules(self.make_id, self.clock, "tests:1", gate, **rules)
        self.sender = Sender(engine, gateway, self.rules)

    def partner(self, number: int = 1, **values: Any) -> Partner:
        """A partner that can be paid."""
        known: dict[str, Any] = dict.fromkeys(Partner.__dataclass_fields__)
        known |= {
            "id": self.make_id(),
            "account": f"acct_{number}",
            "reference": f"partner-{number}",
            "name": f"Partner {number}",
            "email": f"partner{number}@example.com",
            "currency": "eur",
            "state": PartnerState.READY,
            "manual_schedule": True,
            "bank_account": f"ba_{number}",
            "bank_since_ms": 0,
            "schedule": "none",
            "created_at_ms": self.clock(),
            "updated_at_ms": self.clock(),
        }
        partner = Partner(**{**known, **values})
        with self.engine.begin() as connection:
            PARTNERS.insert(connection, [partner])
        return partner

    def request(self, partner: Partner, amount_minor: int = 1_000, **values: Any) -> int:
        """A request of a partner that is owed as much; its row id."""
        row_id, now = self.make_id(), self.clock()
        known: dict[str, Any] = dict.fromkeys(PayoutRequest.__dataclass_fields__)
        known |= {
            "id": row_id,
            "account": partner.account,
            "partner_id": partner.id,
            "amount_minor": amount_minor,
            "currency": partner.currency,
            "status": RequestStatus.QUEUED,
            "due_at_ms": now,
            "tries": 0,
            "lease_until_ms": 0,
            "source": "api",
            "requested_by": "tests",
            "needs_approval": False,
            "shadow": False,
            "created_at_ms": now,
            "updated_at_ms": now,
        }
        of = (partner.account, partner.id, partner.currency)
        moves = (ledger.credit(amount_minor), ledger.requested(amount_minor))
        entries = [
            Entry(kind, f"{kind}:{row_id}", *of, movements, now, request_id=row_id)
            for kind, movements in zip(("credit", "request"), moves, strict=True)
        ]
        with self.engine.begin() as connection:
            REQUESTS.insert(connection, [PayoutRequest(**{**known, **values})])
            post(connection, entries, self.make_id, now)
        return row_id

    def status(self, request_id: int) -> str:
        return str(self.value("SELECT status FROM payout_requests WHERE id = :id", id=request_id))

    def blocked(self, request_id: int) -> str | None:
        return self.value("SELECT blocked FROM payout_requests WHERE id = :id", id=request_id)

    def value(self, sql: str, **parameters: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(sa.text(sql), parameters).scalar()

    def balances(self, partner: Partner) -> dict[str, int]:
        """What is not zero of a partner's ledger accounts."""
        with self.engine.connect() as connection:
            found = partner_balances(connection, partner.id)
        return {str(kind): amount for (_, kind), amount in found.items() if amount}

    def platform(self, kind: LedgerKind) -> int:
        sql = (
            "SELECT COALESCE(SUM(p.amount_minor), 0) FROM postings p JOIN ledger_accounts a "
            "ON a.id = p.ledger_account_id WHERE a.kind = :kind"
        )
        return int(self.value(sql, kind=kind))
