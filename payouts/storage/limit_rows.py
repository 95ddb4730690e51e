"""Limits as rows."""

from collections.abc import Collection

from sqlalchemy import Connection, and_, delete, or_

from payouts.limits import Limit, LimitKind, LimitScope
from payouts.storage.money_tables import limits
from payouts.storage.records import Records

LIMITS = Records(
    limits,
    Limit,
    fixed={"id", "account", "kind", "scope", "scope_key", "currency"},
    reads={"kind": LimitKind, "scope": LimitScope},
)


def limits_for(
    connection: Connection, partner_ids: Collection[int], kinds: Collection[LimitKind] = tuple(LimitKind)
) -> list[Limit]:
    """The limits for all and those of these partners, read without a lock."""
    own = and_(limits.c.scope == LimitScope.PARTNER, limits.c.scope_key.in_(_keys(partner_ids)))
    return LIMITS.find(
        connection, limits.c.kind.in_(sorted(kinds)), or_(limits.c.scope == LimitScope.ALL, own)
    )


def lock_limits(connection: Connection, ids: Collection[int]) -> list[Limit]:
    """These limits, as far as they still exist, locked in one order and read after the lock."""
    return LIMITS.lock(connection, limits.c.id, ids)


def lock_limit(
    connection: Connection, kind: LimitKind, scope: LimitScope, scope_key: str, currency: str
) -> Limit | None:
    """One limit, locked; None where it is not set."""
    query = LIMITS.query(
        limits.c.kind == kind,
        limits.c.scope == scope,
        limits.c.scope_key == scope_key,
        limits.c.currency == currency,
    )
    return next(iter(LIMITS.all(connection, query.with_for_update())), None)


def remove_limit(connection: Connection, limit_id: int) -> None:
    """Delete a limit that this transaction has locked."""
    connection.execute(delete(limits).where(limits.c.id == limit_id))


def _keys(partner_ids: Collection[int]) -> list[str]:
    return sorted(str(partner_id) for partner_id in set(partner_ids))
