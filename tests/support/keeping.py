"""Events that are old enough to be archived, on a database of a test, and what reads them again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from payouts.apply import Applier
from payouts.archiving import DAY_MS, Archiver
from payouts.batch import Rules
from payouts.event import read_envelope
from payouts.ids import IdMaker
from payouts.outcome import BatchResult
from payouts.payloads import Payloads
from payouts.sealing import Sealer
from payouts.shelf import FolderShelf, Shelf
from payouts.storage import inbox, migrate
from payouts.storage.archive_rows import FILES, ArchiveFile
from payouts.storage.engine import build_engine
from payouts.storage.inbox import NewEvent, WorkItem
from payouts.storage.tables import inbox as inbox_table
from tests.support.lives import event_body, payout_object

NOW_MS = 1_790_000_000_000


class Keeper:
    """A database, a folder to archive to, and a clock that is moved by hand."""

    def __init__(self, url: str, folder: Path, keys: Sequence[str] = ()) -> None:
        self.url = url
        self.engine = build_engine(url, timeout_s=10, pool_size=5)
        migrate.upgrade(self.engine)
        self.now_ms = NOW_MS
        self.make_id = IdMaker(lambda: self.now_ms)
        self.folder = folder
        self.shelf: Shelf = FolderShelf(folder)
        self.sealer = Sealer(keys)
        self.bodies: dict[str, bytes] = {}

    def add(self, name: str, *, age_days: int = 100, status: str = "paid", **more: Any) -> int:
        """An event that came so long ago; its row id."""
        body = event_body(f"evt_{name}", status, payout_object(f"po_{name}", status, **more))
        return self.add_body(name, body, age_days=age_days)

    def add_body(self, name: str, body: bytes, *, age_days: int = 100, payload: bytes | None = None) -> int:
        """As `add`; `payload`: what Stripe sent, in place of the body that the envelope is read from."""
        sent = body if payload is None else payload
        self.bodies[name] = sent
        at_ms = self.now_ms - age_days * DAY_MS
        stored = self.sealer.seal(sent)
        event = NewEvent(self.make_id(), read_envelope(body), inbox.WEBHOOK, None, at_ms, stored)
        with self.engine.begin() as connection:
            inbox.add_events(connection, [event], self.make_id)
        return event.id

    def apply(self, *ids: int) -> BatchResult:
        rules = Rules(self.make_id, lambda: self.now_ms, "tests:1", 3, payloads=self.payloads)
        return Applier(self.engine, rules).apply(ids)

    def set_status(self, inbox_id: int, status: str, **more: Any) -> None:
        with self.engine.begin() as connection:
            changed = sa.update(inbox_table).where(inbox_table.c.id == inbox_id)
            connection.execute(changed.values(status=status, **more))

    def archiver(self, **more: Any) -> Archiver:
        given = {"after_days": 90, **more}
        return Archiver(self.engine, self.shelf, self.sealer, self.make_id, lambda: self.now_ms, **given)

    def archive(self, **more: Any) -> int:
        """Archive all that is old; in how many files."""
        archiver, files = self.archiver(**more), 0
        while (step := archiver.step()).taken:
            files += step.file is not None
        return files

    @property
    def payloads(self) -> Payloads:
        return Payloads(self.sealer, self.shelf)

    def stored(self, inbox_id: int) -> bytes:
        with self.engine.connect() as connection:
            query = sa.select(inbox_table.c.payload).where(inbox_table.c.id == inbox_id)
            return bytes(connection.execute(query).scalar_one())

    def read(self, inbox_id: int) -> bytes:
        with self.engine.connect() as connection:
            return self.payloads.open(connection, inbox_id, self.stored(inbox_id))

    def items(self, *ids: int) -> list[WorkItem]:
        """As a replay has them: locked rows, whatever their status."""
        columns = [inbox_table.c[name] for name in WorkItem.__dataclass_fields__]
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).where(inbox_table.c.id.in_(ids)))
            return [WorkItem(*row) for row in rows]

    def status(self, inbox_id: int) -> str:
        with self.engine.connect() as connection:
            query = sa.select(inbox_table.c.status).where(inbox_table.c.id == inbox_id)
            return str(connection.execute(query).scalar_one())

    def files(self) -> list[ArchiveFile]:
        with self.engine.connect() as connection:
            return FILES.find(connection)

    def on_disk(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def is_archived(self, inbox_id: int) -> bool:
        return self.stored(inbox_id)[:2] == b"\x00A"
