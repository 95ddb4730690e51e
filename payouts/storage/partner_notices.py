"""Outbox rows about partners."""

from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.storage.bulk import insert_rows
from payouts.storage.payout_rows import PENDING_DELIVERY
from payouts.storage.tables import outbox


@dataclass(frozen=True, slots=True)
class PartnerNotice:
    """A domain event about a partner: at most one of a name for each occasion."""

    name: str
    partner: Partner
    at_ms: int
    text: str
    occasion: str

    @property
    def dedupe_key(self) -> str:
        return f"{self.partner.id}:{self.name}:{self.occasion}"[:128]


def insert_partner_notice(connection: Connection, notice: PartnerNotice, make_id: IdMaker) -> None:
    """Write an outbox row; one that was told before is left out."""
    partner = notice.partner
    body = {
        "name": notice.name,
        "partner": partner.reference,
        "account": partner.account,
        "state": partner.state,
        "text": notice.text,
        "occurred_at_ms": notice.at_ms,
    }
    columns = (
        *("id", "account", "name", "dedupe_key"),
        *("body", "status", "due_at_ms", "attempts", "created_at_ms"),
    )
    row = (
        *(make_id(), partner.account, notice.name, notice.dedupe_key),
        *(msgspec.json.encode(body).decode(), PENDING_DELIVERY, notice.at_ms, 0, notice.at_ms),
    )
    insert_rows(connection, outbox, columns, [row], skip="dedupe_key")
