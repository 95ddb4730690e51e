"""Holds as rows, and the requests that wait for one to be released."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, tuple_, update

from payouts.holds import Hold, HoldKind, HoldScope, Target, named
from payouts.states import RequestStatus
from payouts.storage.money_tables import holds, partners, payout_requests
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import FEW, Records

HOLDS = Records(
    holds,
    Hold,
    fixed={"id", "account", "kind", "scope", "scope_key", "reason", "placed_by", "placed_at_ms"},
    reads={"kind": HoldKind, "scope": HoldScope},
)


def active_on(connection: Connection, targets: Iterable[Target]) -> list[Hold]:
    """The active holds on any of `targets`, oldest first; read without a lock."""
    wanted = sorted(set(targets))
    if not wanted:
        return []
    few = HOLDS.all(connection, HOLDS.query(holds.c.active).limit(FEW + 1))
    if len(few) <= FEW:
        return [hold for hold in few if hold.target in wanted]
    on_one = tuple_(holds.c.scope, holds.c.scope_key).in_([(str(scope), key) for scope, key in wanted])
    return HOLDS.find(connection, on_one, holds.c.active)


def lock_active_on(connection: Connection, kind: HoldKind, target: Target) -> list[Hold]:
    """The active holds of a kind on one target, locked, oldest first."""
    query = HOLDS.query(
        holds.c.scope == target[0], holds.c.scope_key == target[1], holds.c.kind == kind, holds.c.active
    )
    return HOLDS.all(connection, query.with_for_update())


def lock_hold(connection: Connection, hold_id: int) -> Hold | None:
    """One hold, locked; None where there is none of this id."""
    return next(iter(HOLDS.lock(connection, holds.c.id, [hold_id])), None)


def hold_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """All holds, newest first, each with what it `holds` as people name it."""
    return _named(connection, page(connection, select(*holds.c), holds, filters, limit))


def active_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """The active holds, as `hold_list`."""
    query = select(*holds.c).where(holds.c.active)
    return _named(connection, page(connection, query, holds, filters, limit))


def _named(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = [int(row["scope_key"]) for row in rows if row["scope"] == HoldScope.PARTNER]
    known = select(partners.c.id, partners.c.reference).where(partners.c.id.in_(ids))
    references = {str(row.id): row.reference for row in connection.execute(known)} if ids else {}
    targets = [(HoldScope(row["scope"]), references.get(row["scope_key"], row["scope_key"])) for row in rows]
    return [{**row, "holds": named(target)} for row, target in zip(rows, targets, strict=True)]


def holds_of(connection: Connection, targets: Sequence[Target], limit: int) -> list[Hold]:
    """The holds on any of `targets`, released ones too, newest first; the newest `limit` of each."""
    found: list[Hold] = []
    for scope, key in targets:
        query = HOLDS.query(holds.c.scope == scope, holds.c.scope_key == key)
        found += HOLDS.all(connection, query.order_by(None).order_by(holds.c.id.desc()).limit(limit))
    return sorted(found, key=lambda hold: -hold.id)


def wake(
    connection: Connection,
    codes: Sequence[str],
    now_ms: int,
    most: int,
    *,
    account: str | None = None,
    after_id: int = 0,
    statuses: Collection[RequestStatus] = (RequestStatus.QUEUED,),
) -> list[int]:
    """Make up to `most` requests in `statuses` that wait for one of `codes` due at once; returns their ids.

    In the order of ids behind `after_id`: call again with the last one until nothing comes. The requests
    are checked again before they are sent, so one that is woken in vain only waits anew.
    """
    r = payout_requests.c
    waiting: list[ColumnElement[bool]] = [r.status.in_(list(statuses)), r.blocked.in_(list(codes))]
    if account is not None:
        waiting.append(r.account == account)
    ids = list(connection.scalars(select(r.id).where(*waiting, r.id > after_id).order_by(r.id).limit(most)))
    if ids:
        connection.execute(
            update(payout_requests)
            .where(r.id.in_(ids), *waiting)
            .values(due_at_ms=now_ms, updated_at_ms=now_ms)
        )
    return ids


def wake_one(connection: Connection, request_id: int, code: str, now_ms: int) -> None:
    """Make one queued request that waits for `code` due at once; its row is locked by the caller."""
    r = payout_requests.c
    connection.execute(
        update(payout_requests)
        .where(r.id == request_id, r.status == RequestStatus.QUEUED, r.blocked == code)
        .values(due_at_ms=now_ms, updated_at_ms=now_ms)
    )
