"""Partners: read under lock, written in sets."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, exists, select

from payouts.partner import Partner, PartnerState
from payouts.states import RequestStatus
from payouts.storage.money_tables import partners, payout_requests
from payouts.storage.paging import page
from payouts.storage.queries import Filters
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


def find_partner(connection: Connection, key: str) -> Partner | None:
    """The partner with this reference, Stripe account or row id; read without a lock."""
    if key.startswith("acct_"):
        condition = partners.c.account == key
    elif key.isascii() and key.isdigit() and len(key) < _MAX_ID_DIGITS:
        condition = partners.c.id == int(key)
    else:
        condition = partners.c.reference == key
    return next(iter(PARTNERS.find(connection, condition)), None)


def lock_partner_of(connection: Connection, account: str) -> Partner | None:
    """The partner with this Stripe account, locked; None where it is not registered."""
    return next(iter(PARTNERS.lock(connection, partners.c.account, [account])), None)


def registered_accounts(connection: Connection, accounts: Iterable[str]) -> dict[str, int | None]:
    """The accounts among these that belong to a partner, with when Stripe was last asked about each."""
    wanted = sorted(set(accounts))
    rows = connection.execute(
        select(partners.c.account, partners.c.refreshed_at_ms).where(partners.c.account.in_(wanted))
    )
    return {row.account: row.refreshed_at_ms for row in rows}


def unverified_accounts(connection: Connection, limit: int) -> list[str]:
    """Accounts of partners that Stripe was not asked about yet, the oldest first."""
    return list(
        connection.scalars(
            select(partners.c.account)
            .where(partners.c.state == PartnerState.UNVERIFIED)
            .order_by(partners.c.id)
            .limit(limit)
        )
    )


def held_up_accounts(connection: Connection, before_ms: int, limit: int) -> list[str]:
    """Accounts of restricted partners for whom requests wait, and of which nothing was heard since
    `before_ms`; the oldest partner first."""
    p, r = partners.c, payout_requests.c
    waits = exists().where(
        r.account == p.account,
        r.partner_id == p.id,
        r.status.in_((RequestStatus.QUEUED, RequestStatus.SENDING)),
    )
    return list(
        connection.scalars(
            select(p.account)
            .where(p.state == PartnerState.RESTRICTED, p.updated_at_ms <= before_ms, waits)
            .order_by(p.id)
            .limit(limit)
        )
    )


def partners_by_reference(connection: Connection, references: Iterable[str]) -> dict[str, Partner]:
    """The partners with these references, read without a lock."""
    wanted = sorted(set(references))
    if not wanted:
        return {}
    found = PARTNERS.find(connection, partners.c.reference.in_(wanted))
    return {partner.reference: partner for partner in found}


def partner_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Partners, newest first."""
    return page(connection, select(partners), partners, filters, limit)


def partners_beginning(
    connection: Connection, beginning: str, after: str, limit: int, state: str | None = None
) -> list[dict[str, Any]]:
    """Partners whose reference begins so, in the order of references, behind `after`: a range of an index."""
    p = partners.c
    query = select(partners).where(p.reference >= beginning, p.reference < beginning + _LAST_CHARACTER)
    if after:
        query = query.where(p.reference > after)
    if state is not None:
        query = query.where(p.state == state)
    rows = connection.execute(query.order_by(p.reference).limit(limit))
    return [dict(row._mapping) for row in rows]


_LAST_CHARACTER = "\U0010ffff"
_MAX_ID_DIGITS = 19
