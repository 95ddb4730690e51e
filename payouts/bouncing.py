"""Addresses that mail comes back from: nothing more is written to them until a person says that they work."""

import contextlib
import dataclasses

from sqlalchemy import Connection

from payouts.ids import IdMaker
from payouts.storage.partner_notices import PartnerNotice, insert_partner_notice
from payouts.storage.partner_rows import PARTNERS, lock_partners

BOUNCING = "alert.email_bouncing"
WHY_CHARS = 255


def mark_bouncing(
    connection: Connection, partner_id: int, address: str, why: str, at_ms: int, make_id: IdMaker, now_ms: int
) -> bool:
    """Write nothing more to `address` of a partner, and tell operators; whether that is new.

    `at_ms`: when the mail came back. What came back before the address was given or trusted by a person, or
    from another mailbox than that of its address now, changes nothing: so the same report may come again, at
    any time.
    """
    partner = lock_partners(connection, [partner_id]).get(partner_id)
    if partner is None or partner.email_bounced_at_ms is not None:
        return False
    if mailbox(partner.email) != mailbox(address):
        return False
    if at_ms <= (partner.email_since_ms or 0):
        return False
    said = " ".join(why.split())[:WHY_CHARS]
    marked = dataclasses.replace(
        partner,
        email_bounced_at_ms=at_ms,
        email_bounce=said,
        updated_at_ms=max(now_ms, partner.updated_at_ms),
    )
    PARTNERS.save(connection, [marked])
    text = (
        f"mail to {partner.reference} comes back, so that it is not written to any more: give it another "
        f"address (`payouts partner update {partner.reference} --email …`), or say that this one works "
        f"(`payouts partner trust-email {partner.reference}`)"
    )
    insert_partner_notice(connection, PartnerNotice(BOUNCING, marked, now_ms, text, str(at_ms)), make_id)
    return True


def mailbox(address: str) -> str:
    """The mailbox of an address, to compare: no server tells two apart by capitals, and reports of it may
    write it otherwise, its domain in ASCII too."""
    name, _, domain = address.strip().rpartition("@")
    with contextlib.suppress(UnicodeError):  # as it is, where it is none: too long, or a part of it empty
        domain = domain.encode("idna").decode()
    return f"{name}@{domain}".casefold()
