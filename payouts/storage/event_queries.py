"""What operators ask about events: the list, and everything about one. Read-only."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, Table, func, select

from payouts.redelivery import redeliveries
from payouts.states import FAILED_EVENT_STATUSES
from payouts.storage.failure_tables import inbox_failures
from payouts.storage.inbox import WEBHOOK
from payouts.storage.money_tables import ledger_transactions
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.replay_rows import causes_like, replays_of
from payouts.storage.tables import (
    inbox,
    inbox_attempts,
    inbox_deliveries,
    outbox,
    payout_transitions,
    payouts,
)

_LISTED_EVENT = [column for column in inbox.c if column.name != "payload"]


def events(
    connection: Connection, filters: Filters, limit: int, error: str | None = None
) -> list[dict[str, Any]]:
    """Events, newest first, without their payloads, each with its number of `deliveries`.

    `error`: a part of their cause's text; those that stand failed of such a cause alone.
    """
    query = select(*_LISTED_EVENT)
    table = inbox
    if error is not None or filters.equal.get("status") in FAILED_EVENT_STATUSES:
        # Few in the inbox, and maybe long ago: found where there is nothing else.
        query, table = query.join(inbox_failures, inbox_failures.c.id == inbox.c.id), inbox_failures
    if error is not None:
        query = query.where(inbox_failures.c.fingerprint.in_(causes_like(connection, error)))
    rows = page(connection, query, table, filters, limit)
    again = _deliveries_again(connection, [row["event_id"] for row in rows])
    return [{**row, "deliveries": 1 + again.get(row["event_id"], 0)} for row in rows]


def event(connection: Connection, key: str) -> dict[str, Any] | None:
    """One event by Stripe's id or its row id, with payload, deliveries, failed attempts and effects."""
    row = _by_key(connection, inbox, inbox.c.event_id, key)
    if row is None:
        return None
    again = _all(connection, inbox_deliveries, inbox_deliveries.c.event_id, row.event_id)
    kinds = redeliveries(dict(row._mapping), again, WEBHOOK)
    return {
        **row._mapping,
        "deliveries": 1 + len(again),
        "deliveries_again": [{**one, "kind": kind} for one, kind in zip(again, kinds, strict=True)],
        "replays": replays_of(connection, row.id),
        "dismissed": _dismissed(connection, row.id),
        "failed_attempts": _all(connection, inbox_attempts, inbox_attempts.c.inbox_id, row.id),
        **_effects(connection, row),
    }


def _dismissed(connection: Connection, inbox_id: int) -> dict[str, Any] | None:
    f = inbox_failures.c
    columns = (f.dismissed_by, f.dismissed_at_ms, f.reason)
    row = connection.execute(select(*columns).where(f.id == inbox_id, f.dismissed_by.is_not(None))).first()
    return dict(row._mapping) if row else None


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


def _effects(connection: Connection, row: Row[Any]) -> dict[str, list[dict[str, Any]]]:
    """What the event changed: transitions, and what was posted and told with them.

    Transitions are indexed by payout, and an event is about one. Postings and notices name the payout, and
    were written in the transaction of the transition, so at its moment.
    """
    held = None if row.object_id is None else _by_key(connection, payouts, payouts.c.stripe_id, row.object_id)
    if held is None:
        return {"transitions": [], "postings": [], "notices": []}
    all_moves = _all(connection, payout_transitions, payout_transitions.c.payout_id, held.id)
    moves = [{**move, "stripe_id": row.object_id} for move in all_moves if move["inbox_id"] == row.id]
    moments = [move["at_ms"] for move in moves]
    t, n = ledger_transactions.c, outbox.c
    posted = _rows(connection, select(ledger_transactions).where(t.payout_id == held.id), t.id)
    told = _rows(
        connection, select(n.id, n.name, n.status, n.created_at_ms).where(n.payout_id == held.id), n.id
    )
    return {
        "transitions": moves,
        "postings": [each for each in posted if each["posted_at_ms"] in moments],
        "notices": [each for each in told if each["created_at_ms"] in moments],
    }


def _rows(connection: Connection, query: Select[Any], order: Column[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(query.order_by(order))]
