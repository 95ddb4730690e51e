"""Partners and requested payouts to try the brakes on, and a migrated database to keep them in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.ledger import Entry, credit
from payouts.partner import Partner, PartnerState
from payouts.people import Actor, Role, Scope
from payouts.request import PayoutRequest
from payouts.states import RequestStatus
from payouts.storage import migrate
from payouts.storage.engine import build_engine
from payouts.storage.ledger_rows import post
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.request_rows import REQUESTS

LONG_AGO_MS = 1_700_000_000_000
make_id = IdMaker()

ANNA = Actor("anna", 1, 11, frozenset(Scope))
BEN = Actor("ben", 2, 12, frozenset(Scope))
PORTAL = Actor("program:portal", None, 13, frozenset({Scope.READ, Scope.CREDIT, Scope.REQUEST}))


def actor(name: str, role: Role = Role.ADMIN) -> Actor:
    """Somebody by name, who may do what `role` may."""
    from payouts.people import ROLE_SCOPES

    return Actor(name, make_id(), make_id(), frozenset(ROLE_SCOPES[role]))


@contextmanager
def migrated(url: str, pool_size: int = 5) -> Iterator[Engine]:
    """A migrated database."""
    engine = build_engine(url, timeout_s=10, pool_size=pool_size)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


def a_partner(**changes: Any) -> Partner:
    """A partner that can be paid: everything in order, its bank account old and approved."""
    row_id = make_id()
    values: dict[str, Any] = {
        "id": row_id,
        "account": f"acct_{row_id}",
        "reference": f"partner-{row_id}",
        "name": "Nord Logistik",
        "email": "pay@nord.example",
        "currency": "eur",
        "state": PartnerState.READY,
        "state_reason": None,
        "payouts_enabled": True,
        "transfers_capability": "active",
        "requirements": None,
        "manual_schedule": True,
        "bank_account": f"ba_{row_id}",
        "bank_fingerprint": "fp",
        "bank_status": "new",
        "bank_label": "Testbank …6789",
        "bank_since_ms": LONG_AGO_MS,
        "bank_approved": f"ba_{row_id}",
        "schedule": "none",
        "schedule_day": None,
        "schedule_minimum_minor": None,
        "refreshed_at_ms": LONG_AGO_MS,
        "created_at_ms": LONG_AGO_MS,
        "updated_at_ms": LONG_AGO_MS,
    }
    return Partner(**{**values, **changes})


def a_request(partner: Partner, amount_minor: int = 10_000, **changes: Any) -> PayoutRequest:
    """A queued request of `partner`."""
    values: dict[str, Any] = {
        "id": make_id(),
        "account": partner.account,
        "partner_id": partner.id,
        "amount_minor": amount_minor,
        "currency": partner.currency,
        "status": RequestStatus.QUEUED,
        "blocked": None,
        "blocked_text": None,
        "due_at_ms": now_ms(),
        "tries": 0,
        "lease_until_ms": 0,
        "lease": None,
        "source": "command",
        "batch_id": None,
        "reference": None,
        "requested_by": "anna",
        "statement_descriptor": None,
        "needs_approval": False,
        "shadow": False,
        "sent_at_ms": None,
        "created_at_ms": now_ms(),
        "updated_at_ms": now_ms(),
    }
    return PayoutRequest(**{**values, **changes})


def keep(connection: Connection, *rows: Partner | PayoutRequest) -> None:
    """Insert partners and requests."""
    PARTNERS.insert(connection, [row for row in rows if isinstance(row, Partner)])
    REQUESTS.insert(connection, [row for row in rows if isinstance(row, PayoutRequest)])


def owe(connection: Connection, partner: Partner, amount_minor: int, reference: str = "") -> None:
    """Credit `partner`."""
    at_ms = now_ms()
    entry = Entry(
        *("credit", f"credit:{reference or make_id()}", partner.account, partner.id, partner.currency),
        credit(amount_minor),
        at_ms,
    )
    post(connection, [entry], make_id, at_ms)
