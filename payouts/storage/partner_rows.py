"""Partners: read under lock, written in sets."""

from collections.abc import Iterable

from sqlalchemy import Connection

from payouts.partner import Partner, PartnerState
from payouts.storage.money_tables import partners
from payouts.storage.records import Records

PARTNERS = Records(
    partners,
    Partner,
    fixed={"id", "account", "reference", "created_at_ms"},
    reads={"state": PartnerState},
)


def lock_partners(connection: Connection, ids: Iterable[int]) -> dict[int, Partner]:
    """The partners among `ids` that exist, locked in one order and read after the lock."""
    return {partner.id: partner for partner in PARTNERS.lock(connection, partners.c.id, ids)}
