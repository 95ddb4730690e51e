"""A database, events to put into it, and what came of them: for tests of batches in this process."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.apply import Applier
from payouts.batch import Rules
from payouts.event import read_envelope
from payouts.ids import IdMaker
from payouts.machine import decide
from payouts.outcome import BatchResult
from payouts.storage import inbox
from payouts.storage.engine import build_engine
from payouts.storage.inbox import NewEvent
from tests.support.databases import bring_up_to_date

NOW_MS = 1_790_000_000_000
MAX_ATTEMPTS = 3


class World:
    """A database, events to put into it, and what came of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now_ms = NOW_MS
        self.make_id = IdMaker()
        self.rules = Rules(self.make_id, lambda: self.now_ms, "tests:1", MAX_ATTEMPTS)
        self.ids: dict[str, int] = {}

    def add(self, *bodies: bytes, payloads: Sequence[bytes] | None = None) -> list[int]:
        """Put events into the inbox; `payloads`: what is stored in place of the bodies."""
        kept = bodies if payloads is None else payloads
        events = [
            NewEvent(
                id=self.make_id(),
                envelope=read_envelope(body),
                source=inbox.WEBHOOK,
                secret=None,
                received_at_ms=self.now_ms,
                payload=payload,
            )
            for body, payload in zip(bodies, kept, strict=True)
        ]
        with self.engine.begin() as connection:
            inbox.add_events(connection, events, self.make_id)
        self.ids |= {event.envelope.event_id: event.id for event in events}
        return [event.id for event in events]

    def apply(self, ids: Sequence[int], decide: Callable[..., Any] = decide) -> BatchResult:
        return self.applier(decide).apply(ids)

    def applier(self, decide: Callable[..., Any] = decide) -> Applier:
        return Applier(self.engine, dataclasses.replace(self.rules, decide=decide))

    def rows(self, sql: str) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(sql)))

    def snapshot(self) -> dict[str, list[Any]]:
        """All that events change: what a replay of what was right must leave as it is."""
        queries = {
            "events": "SELECT id, status, attempts, reason, processed_at_ms FROM inbox ORDER BY id",
            "payouts": "SELECT * FROM payouts ORDER BY id",
            "moves": "SELECT * FROM payout_transitions ORDER BY id",
            "requests": "SELECT id, status, blocked FROM payout_requests ORDER BY id",
            "request moves": "SELECT * FROM request_transitions ORDER BY id",
            "transactions": "SELECT * FROM ledger_transactions ORDER BY id",
            "postings": "SELECT * FROM postings ORDER BY id",
            "balances": "SELECT id, balance_minor FROM ledger_accounts ORDER BY id",
            "notices": "SELECT id, name, body FROM outbox ORDER BY id",
            "legs": "SELECT * FROM legs ORDER BY id",
            "attempts": "SELECT * FROM leg_attempts ORDER BY id",
        }
        return {name: [tuple(row) for row in self.rows(sql)] for name, sql in queries.items()}

    def statuses(self) -> dict[str, str]:
        return {row.event_id: row.status for row in self.rows("SELECT event_id, status FROM inbox")}

    def payouts(self) -> dict[str, str | None]:
        return {row.stripe_id: row.status for row in self.rows("SELECT stripe_id, status FROM payouts")}

    def transitions(self) -> list[tuple[str | None, str]]:
        found = self.rows("SELECT from_status, to_status FROM payout_transitions ORDER BY id")
        return [(row.from_status, row.to_status) for row in found]

    def outbox(self) -> list[str]:
        return sorted(row.name for row in self.rows("SELECT name FROM outbox"))

    def clear(self) -> None:
        with self.engine.begin() as connection:
            for table in ("inbox", "inbox_attempts", "payouts", "payout_transitions", "outbox"):
                connection.execute(sa.text(f"DELETE FROM {table}"))


@contextmanager
def world_on(url: str) -> Iterator[World]:
    engine = build_engine(url, timeout_s=10, pool_size=5)
    bring_up_to_date(engine)
    yield World(engine)
    engine.dispose()
