"""Which partners are paid often, and which of them were told of something."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, and_, func, or_, select

from payouts.ids import floor_id
from payouts.partner import Partner
from payouts.storage.money_tables import partners, payout_requests
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.tables import outbox

COUNTED_MOST = 10_000


def partners_after(connection: Connection, partner_id: int, most: int) -> list[Partner]:
    """The next partners in the order of their ids."""
    return PARTNERS.all(connection, PARTNERS.query(partners.c.id > partner_id).limit(most))


def often_paid(connection: Connection, ids: Collection[int], since_ms: int, least: int) -> set[int]:
    """Those of these partners for whom at least `least` payouts were requested since `since_ms`."""
    r = payout_requests.c
    query = (
        select(r.partner_id)
        .where(r.partner_id.in_(sorted(ids)), r.id >= floor_id(since_ms))
        .group_by(r.partner_id)
        .having(func.count() >= least)
    )
    return set(connection.scalars(query)) if ids else set()


def told(connection: Connection, dedupe_keys: Collection[str]) -> set[str]:
    """Which of these keys the outbox has."""
    o = outbox.c
    return set(connection.scalars(select(o.dedupe_key).where(o.dedupe_key.in_(sorted(dedupe_keys)))))


def told_of(connection: Connection, page: Iterable[Partner], names: str) -> list[tuple[int, str]]:
    """The notices about these partners whose names begin with `names`, oldest first: row id of the partner,
    and body."""
    o = outbox.c
    # Ranges, not LIKE: SQLite has no index for that. Nothing in a key comes behind "~".
    mine = [
        and_(o.dedupe_key >= f"{partner.id}:{names}", o.dedupe_key < f"{partner.id}:{names}~")
        for partner in page
    ]
    if not mine:
        return []
    # Put in order here: by the database all of the outbox would be read in the order of its ids.
    found = sorted(connection.execute(select(o.id, o.dedupe_key, o.body).where(or_(*mine))))
    return [(int(key.split(":", 1)[0]), body) for _, key, body in found]


def held_up(connection: Connection, blocked: str) -> int:
    """How many requests wait for this; counted up to COUNTED_MOST."""
    r = payout_requests.c
    some = select(r.id).where(r.blocked == blocked).limit(COUNTED_MOST).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0
