"""What operators ask: lists paged by key, and everything about one event. Read-only."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Engine, Row, Table, func, select

from payouts.storage.tables import (
    inbox,
    inbox_attempts,
    inbox_deliveries,
    payout_transitions,
    payouts,
)

PAGE = 500
_LISTED_EVENT = [column for column in inbox.c if column.name != "payload"]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to: values by column, and the ids (thus times) between which rows lie."""

    equal: Mapping[str, str | int]
    since_id: int | None = None
    before_id: int | None = None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that takes no lock and writes nothing."""
    with engine.connect().execution_options(read_only=True) as connection:
        yield connection


def events(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Events, newest first, without their payloads, each with its number of `deliveries`."""
    rows = _page(connection, inbox, _LISTED_EVENT, filters, limit)
    again = _deliveries_again(connection, [row.event_id for row in rows])
    return [{**row._mapping, "deliveries": 1 + again.get(row.event_id, 0)} for row in rows]


def payout_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Payouts, newest first."""
    return [dict(row._mapping) for row in _page(connection, payouts, list(payouts.c), filters, limit)]


def event(connection: Connection, key: str) -> dict[str, Any] | None:
    """One event by Stripe's id or its row id, with payload, deliveries, failed attempts and effects."""
    row = _by_key(connection, inbox, inbox.c.event_id, key)
    if row is None:
        return None
    return {
        **row._mapping,
        "deliveries": 1 + _deliveries_again(connection, [row.event_id]).get(row.event_id, 0),
        "deliveries_again": _all(connection, inbox_deliveries, inbox_deliveries.c.event_id, row.event_id),
        "failed_attempts": _all(connection, inbox_attempts, inbox_attempts.c.inbox_id, row.id),
        "transitions": _transitions_by_event(connection, row),
    }


def _page(
    connection: Connection, table: Table, columns: Sequence[Column[Any]], filters: Filters, limit: int
) -> Sequence[Row[Any]]:
    query = select(*columns).order_by(table.c.id.desc()).limit(limit)
    for name, value in filters.equal.items():
        query = query.where(table.c[name] == value)
    if filters.since_id is not None:
        query = query.where(table.c.id >= filters.since_id)
    if filters.before_id is not None:
        query = query.where(table.c.id < filters.before_id)
    return connection.execute(query).all()


def _deliveries_again(connection: Connection, event_ids: Sequence[str]) -> dict[str, int]:
    if not event_ids:
        return {}
    query = (
        select(inbox_deliveries.c.event_id, func.count())
        .where(inbox_deliveries.c.event_id.in_(event_ids))
        .group_by(inbox_deliveries.c.event_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _by_key(connection: Connection, table: Table, stripe_id: Column[Any], key: str) -> Row[Any] | None:
    # Ids made here are numbers, Stripe's never are.
    condition = table.c.id == int(key) if key.isascii() and key.isdigit() else stripe_id == key
    return connection.execute(select(table).where(condition)).first()


def _all(connection: Connection, table: Table, column: Column[Any], value: Any) -> list[dict[str, Any]]:
    rows = connection.execute(select(table).where(column == value).order_by(table.c.id))
    return [dict(row._mapping) for row in rows]


def _transitions_by_event(connection: Connection, row: Row[Any]) -> list[dict[str, Any]]:
    # Transitions are indexed by payout, and an event is about one.
    if row.object_id is None:
        return []
    held = _by_key(connection, payouts, payouts.c.stripe_id, row.object_id)
    if held is None:
        return []
    moves = _all(connection, payout_transitions, payout_transitions.c.payout_id, held.id)
    return [{**move, "stripe_id": row.object_id} for move in moves if move["inbox_id"] == row.id]
