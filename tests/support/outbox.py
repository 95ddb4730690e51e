"""An outbox with rows in it, channels that do as they are told, and tellers between them."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.ids import IdMaker
from payouts.notices import Channel, Notice, NoticeError, Route
from payouts.storage.bulk import insert_rows
from payouts.storage.tables import outbox
from payouts.telling import Teller, TellingRules
from tests.support.money import Clock

MAX_ATTEMPTS = 3


class Recorder:
    """A channel that keeps what it gets, and fails for chosen notices."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.asked = 0
        self.failing: dict[int, Exception] = {}
        self.down = False
        self._guard = threading.Lock()

    def deliver(self, notice: Notice) -> None:
        with self._guard:
            self.asked += 1
            if self.down:
                raise NoticeError("it is down", transient=True)
            if notice.id in self.failing:
                raise self.failing[notice.id]
            self.got.append(notice.id)


class Office:
    """An outbox on a migrated database, a clock moved by hand, and tellers with channels `a` and `b`."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.clock, self.make_id = engine, Clock(), IdMaker()
        self.a, self.b = Recorder(), Recorder()
        self.teller = self.another()

    def another(
        self,
        channels: Mapping[str, Channel] | None = None,
        routes: Sequence[Route] = (Route("a"), Route("b")),
    ) -> Teller:
        """A teller as that of another process."""
        rules = TellingRules(self.make_id, self.clock, routes, MAX_ATTEMPTS)
        return Teller(self.engine, channels or {"a": self.a, "b": self.b}, rules)

    def write(self, *payout_ids: int | None, name: str = "payout.created") -> list[int]:
        """Write a notice about each of these payouts, as workers do; their ids."""
        columns = (
            *("id", "account", "name", "payout_id", "dedupe_key"),
            *("body", "status", "due_at_ms", "created_at_ms"),
        )
        ids = [self.make_id() for _ in payout_ids]
        now = self.clock()
        rows = [
            (row_id, "acct_1", name, payout_id, f"{row_id}:x", '{"a": 1}', "pending", now, now)
            for row_id, payout_id in zip(ids, payout_ids, strict=True)
        ]
        with self.engine.begin() as connection:
            insert_rows(connection, outbox, columns, rows)
        return ids

    def tell_all(self, within: int = 50, *, step_s: float = 0.5) -> None:
        """Tell again and again while the clock goes on."""
        for _ in range(within):
            while self.teller.tell():
                pass
            self.clock.pass_(seconds=step_s)

    def statuses(self, ids: Iterable[int] = ()) -> list[str]:
        """Where these notices stand, or all."""
        found = {row.id: row.status for row in self.rows("SELECT id, status FROM outbox ORDER BY id")}
        return [found[row_id] for row_id in (ids or found)]

    def deliveries(self, outbox_id: int) -> dict[str, tuple[str, int, str | None]]:
        """Status, attempts and last error by channel."""
        sql = "SELECT channel, status, attempts, last_error FROM notice_deliveries WHERE outbox_id = :id"
        return {row.channel: tuple(row)[1:] for row in self.rows(sql, id=outbox_id)}

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(sql), values))

    def run(self, sql: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(sql), values)
