"""Limits as rows."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select

from payouts.limits import Limit, LimitKind, LimitScope, value_text, window_text
from payouts.storage.money_tables import limits, partners
from payouts.storage.queries import Filters
from payouts.storage.records import FEW, Records

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
    few = LIMITS.all(connection, LIMITS.query().limit(FEW + 1))
    if len(few) <= FEW:
        mine = {(LimitScope.ALL, ""), *((LimitScope.PARTNER, key) for key in _keys(partner_ids))}
        return [limit for limit in few if limit.kind in kinds and (limit.scope, limit.scope_key) in mine]
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


def limit_list(connection: Connection, filters: Filters, most: int) -> list[dict[str, Any]]:
    """Limits with their partner's reference, newest first; `limit` and `window` as people read them."""
    query = LIMITS.query().order_by(None).order_by(limits.c.id.desc()).limit(most)
    if filters.before_id is not None:
        query = query.where(limits.c.id < filters.before_id)
    found = LIMITS.all(connection, query)
    ids = [int(limit.scope_key) for limit in found if limit.scope_key]
    names = select(partners.c.id, partners.c.reference).where(partners.c.id.in_(ids))
    references = {str(row.id): row.reference for row in connection.execute(names)} if ids else {}
    return [
        {
            "id": limit.id,
            "kind": limit.kind,
            "partner": references.get(limit.scope_key),
            "currency": limit.currency or None,
            "value": limit.value,
            "window_s": limit.window_s,
            "limit": value_text(limit),
            "window": window_text(limit.window_s) if limit.window_s else None,
            "set_by": limit.set_by,
            "set_at_ms": limit.set_at_ms,
        }
        for limit in found
    ]


def _keys(partner_ids: Collection[int]) -> list[str]:
    return sorted(str(partner_id) for partner_id in set(partner_ids))
