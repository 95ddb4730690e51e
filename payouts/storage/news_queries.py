"""What has changed, by topic: the newest row of each table that pages show. A row from an index each."""

from typing import Any

from sqlalchemy import Column, Connection, Table, select

from payouts.replay import OPEN_REPLAY_STATUSES
from payouts.storage.catch_up_tables import catch_up_walks, proofs
from payouts.storage.check_tables import ledger_checks
from payouts.storage.difference_tables import differences, reconcile_rounds
from payouts.storage.failure_tables import inbox_failures
from payouts.storage.money_tables import holds, ledger_transactions, payout_requests, request_transitions
from payouts.storage.people_tables import audit
from payouts.storage.replay_tables import replays
from payouts.storage.tables import inbox, outbox, payout_transitions

LOOKED_AT = 50
"""Newest events whose status is looked at: those of one page."""


def news(connection: Connection) -> dict[str, Any]:
    """Values that differ once something of the topic has changed."""
    return {
        "events": _newest(connection, inbox, inbox.c.id, inbox.c.status, limit=LOOKED_AT),
        "failures": _newest(connection, inbox_failures, inbox_failures.c.id, inbox_failures.c.status),
        "replays": _replays(connection),
        "payouts": [
            _newest(connection, payout_transitions, payout_transitions.c.id),
            _newest(connection, request_transitions, request_transitions.c.id),
            _newest(connection, payout_requests, payout_requests.c.id),
            _newest(connection, holds, holds.c.id, holds.c.active),
        ],
        "ledger": _newest(connection, ledger_transactions, ledger_transactions.c.id),
        "checks": _newest(connection, ledger_checks, ledger_checks.c.checked_at_ms, limit=LOOKED_AT),
        "notices": _newest(connection, outbox, outbox.c.id, outbox.c.status),
        "differences": _newest(connection, differences, differences.c.id, differences.c.healed_at_ms),
        "rounds": _newest(
            connection, reconcile_rounds, reconcile_rounds.c.id, reconcile_rounds.c.moved_at_ms
        ),
        "proofs": [
            _newest(connection, proofs, proofs.c.id),
            _newest(
                *(connection, catch_up_walks, catch_up_walks.c.id, catch_up_walks.c.status),
                catch_up_walks.c.reads,
            ),
        ],
        "audit": _newest(connection, audit, audit.c.id),
    }


def _newest(connection: Connection, table: Table, *columns: Column[Any], limit: int = 1) -> list[Any]:
    rows = connection.execute(select(*columns).order_by(table.c.id.desc()).limit(limit))
    return [tuple(row) for row in rows]


def _replays(connection: Connection) -> list[Any]:
    r = replays.c
    moving = (r.id, r.status, r.position, r.applied, r.unchanged, r.waiting, r.failed, r.rate_per_s)
    rows = connection.execute(select(*moving).where(r.status.in_(OPEN_REPLAY_STATUSES)).order_by(r.id))
    return [*_newest(connection, replays, r.id, r.status), *(tuple(row) for row in rows)]
