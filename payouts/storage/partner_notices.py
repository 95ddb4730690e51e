"""Outbox rows about partners, and about the service itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from payouts.ids import IdMaker
from payouts.partner import Partner
from payouts.storage.columns import PLATFORM
from payouts.storage.new_notices import NewNotice, body_of, insert_new


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
    new = NewNotice(make_id(), partner.account, notice.name, notice.dedupe_key, body_of(body), notice.at_ms)
    return insert_new(connection, [new]) == 1


def insert_platform_notice(connection: Connection, notice: PlatformNotice, make_id: IdMaker) -> bool:
    """Write an outbox row; False: it was told before, and is left out. Raises RowIdTakenError."""
    body = {"name": notice.name, **notice.about, "text": notice.text, "occurred_at_ms": notice.at_ms}
    key = f"{notice.name}:{notice.occasion}"[:128]
    new = NewNotice(make_id(), PLATFORM, notice.name, key, body_of(body), notice.at_ms)
    return insert_new(connection, [new]) == 1
