"""Outbox rows about partners, and about the service itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, select

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
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
    about: Mapping[str, object] = field(default_factory=dict)
    """More of its body, for programs and letters."""

    @property
    def dedupe_key(self) -> str:
        return f"{self.partner.id}:{self.name}:{self.occasion}"[:128]


@dataclass(frozen=True, slots=True)
class PlatformNotice:
    """A domain event about the service itself: at most one of a name for each occasion."""

    name: str
    at_ms: int
    text: str
    occasion: str
    about: Mapping[str, object] = field(default_factory=dict)
    """More of its body, for programs."""


def insert_partner_notice(connection: Connection, notice: PartnerNotice, make_id: IdMaker) -> bool:
    """Write an outbox row; False: it was told before, and is left out. Raises RowIdTakenError."""
    partner = notice.partner
    who = {"partner": partner.reference, "account": partner.account, "state": partner.state}
    body = {"name": notice.name, **who, **notice.about, "text": notice.text, "occurred_at_ms": notice.at_ms}
    return _insert(connection, make_id(), partner.account, notice.name, notice.dedupe_key, body, notice.at_ms)


def insert_platform_notice(connection: Connection, notice: PlatformNotice, make_id: IdMaker) -> bool:
    """Write an outbox row; False: it was told before, and is left out. Raises RowIdTakenError."""
    body = {"name": notice.name, **notice.about, "text": notice.text, "occurred_at_ms": notice.at_ms}
    key = f"{notice.name}:{notice.occasion}"[:128]
    return _insert(connection, make_id(), PLATFORM, notice.name, key, body, notice.at_ms)


def _insert(
    connection: Connection,
    row_id: int,
    account: str,
    name: str,
    dedupe_key: str,
    body: dict[str, object],
    at_ms: int,
) -> bool:
    columns = (
        *("id", "account", "name", "dedupe_key"),
        *("body", "status", "due_at_ms", "created_at_ms"),
    )
    text = msgspec.json.encode(body).decode()
    row = (row_id, account, name, dedupe_key, text, PENDING_DELIVERY, at_ms, at_ms)
    if insert_rows(connection, outbox, columns, [row], skip="dedupe_key") == 1:
        return True
    if connection.scalar(select(outbox.c.id).where(outbox.c.dedupe_key == dedupe_key)) is None:
        # Left out although it is new: another process drew the same row id.
        raise RowIdTakenError(f"the row id for the notice {dedupe_key} is taken")
    return False
