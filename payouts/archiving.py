"""Payloads that are old leave the inbox: one file a step, checked before any row lets go of its payload.

The order is: write the file, read it back and compare, then note the file and point the rows at it in one
transaction. Whoever is stopped in between leaves a file that no row points at (`payouts archive verify` names
it) and every payload where it was. Two that archive at once write a file each; a row follows the first. File
names are drawn anew each time, never shared, so that nobody removes what another one's rows point at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from sqlalchemy import Connection, Engine

from payouts.archive_file import (
    Packed,
    Record,
    digest_of,
    pack,
    part_of,
    read_blocks,
    unpack,
    write_blocks,
)
from payouts.clock import Clock, iso
from payouts.crash import crash_point
from payouts.errors import PayloadError, PayloadUnavailableError, PayoutsError, RowIdTakenError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.sealing import Sealer, archive_file_of
from payouts.shelf import Shelf, ShelfError
from payouts.storage import archive_rows
from payouts.storage.archive_rows import ArchiveFile
from payouts.storage.columns import PLATFORM
from payouts.storage.unit import in_transaction

DAY_MS = 24 * 3_600_000
STEP_EVENTS = 5_000
STEP_BYTES = 16 * 1024 * 1024
"""Of payloads in one step, as they are stored: what a step holds in memory is a small multiple of it."""
_ID_TRIES = 3


class _NothingLeftError(Exception):
    """Somebody else archived all of it meanwhile."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did. `file`: None where there was nothing to archive, or somebody else was faster."""

    taken: int
    """How many rows it looked at; 0: nothing is left to do."""
    file: ArchiveFile | None = None


@dataclass(frozen=True, slots=True)
class Archiver:
    """Moves old payloads out, and seals files anew. Safe to run anywhere and twice at once."""

    engine: Engine
    shelf: Shelf
    sealer: Sealer
    make_id: IdMaker
    clock: Clock
    after_days: int
    step_events: int = STEP_EVENTS
    step_bytes: int = STEP_BYTES

    @property
    def before_ms(self) -> int:
        """Events that were due before are old."""
        return self.clock() - self.after_days * DAY_MS

    def step(self) -> Step:
        """Archive some of what is old, the oldest first. Raises ShelfError where the file cannot be kept."""
        with self.engine.connect().execution_options(read_only=True) as connection:
            sizes = archive_rows.old_events(connection, self.before_ms, self.step_events)
            ids = _within(sizes, self.step_bytes)
            stored = archive_rows.read_records(connection, ids)
        again = [record.id for record in stored if archive_file_of(record.payload) is not None]
        if again:
            in_transaction(self.engine, lambda connection: archive_rows.note_archived(connection, again))
        records = [self._opened(record) for record in stored if archive_file_of(record.payload) is None]
        if not records:
            return Step(len(again))
        return Step(len(stored), self._archive(records))

    def reseal(self, file: ArchiveFile) -> bool:
        """Seal a file with the first key; False where it is so already, or somebody else did it.

        The rows stay as they are: they point at the file by its id. Raises PayloadUnavailableError where the
        file is missing or damaged, or no key opens it.
        """
        content = self.shelf.get(file.name)
        parts = [(block, part_of(content, block)) for block in read_blocks(file.blocks)]
        if all(self.sealer.is_current(part) for _, part in parts):
            return False
        records = [
            self._opened(record) for block, part in parts for record in unpack(part, block, self.sealer)
        ]
        new = self._written(records, file.id, file.created_at_ms)
        new = replace(new, events=file.events)
        crash_point("archive.before_replace")
        done = in_transaction(
            self.engine, lambda connection: archive_rows.replace_file(connection, file, new)
        )
        self._remove(file if done else new)
        return done

    def _archive(self, records: Sequence[Record]) -> ArchiveFile | None:
        for _ in range(_ID_TRIES):
            file = self._written(records, self.make_id(), self.clock())
            crash_point("archive.after_write")
            try:
                made = in_transaction(self.engine, lambda c, file=file: self._point(c, file, records))  # type: ignore[misc]
            except _NothingLeftError:
                self._remove(file)
                return None
            except RowIdTakenError:
                self._remove(file)
                continue
            crash_point("archive.after_commit")
            get_logger().info("archive.made", file=made.name, events=made.events, bytes=made.bytes)
            return made
        raise PayoutsError(f"no free row id for an archive file after {_ID_TRIES} tries")

    def _point(self, connection: Connection, file: ArchiveFile, records: Sequence[Record]) -> ArchiveFile:
        count = archive_rows.point_at(connection, file.id, [record.id for record in records])
        if not count:
            raise _NothingLeftError
        made = replace(file, events=count)
        archive_rows.add_file(connection, made)
        crash_point("archive.before_commit")
        return made

    def _written(self, records: Sequence[Record], file_id: int, created_at_ms: int) -> ArchiveFile:
        """Keep `records` as a file, and see that what is kept is what was written."""
        packed = pack(records, self.sealer)
        file = ArchiveFile(
            id=file_id,
            account=PLATFORM,
            name=file_name(file_id, records[0].received_at_ms, self.make_id(), self.sealer.is_on),
            sha256=packed.sha256,
            events=len(records),
            bytes=len(packed.content),
            sealed=self.sealer.is_on,
            first_id=records[0].id,
            last_id=records[-1].id,
            created_at_ms=created_at_ms,
            blocks=write_blocks(packed.blocks),
        )
        self.shelf.put(file.name, packed.content)
        self._check(file, packed, records)
        return file

    def _check(self, file: ArchiveFile, packed: Packed, records: Sequence[Record]) -> None:
        kept = self.shelf.get(file.name)
        if digest_of(kept) != file.sha256:
            raise ShelfError(
                f"{self.shelf.where} gave back other bytes for {file.name} than it was given: "
                "nothing was archived"
            )
        # And it says what the rows say: read as it will be read one day, before they let go of it.
        parts = (unpack(part_of(kept, block), block, self.sealer) for block in packed.blocks)
        read = chain.from_iterable(parts)
        if any(there != here for there, here in zip_longest(read, records)):
            raise PayoutsError(f"{file.name} does not read as what was archived: nothing was changed")

    def _opened(self, record: Record) -> Record:
        """The record with its payload plain: a block is sealed as a whole."""
        try:
            plain = self.sealer.open(record.payload)
        except (PayloadUnavailableError, PayloadError):
            # Its key is lost, or not set here. Archived as it is, it can still be opened with that key.
            get_logger().warning("archive.still_sealed", inbox_id=record.id, event_id=record.event_id)
            return record
        return Record(
            *(record.id, record.event_id, record.account, record.type, record.received_at_ms),
            payload=_UNSEALED.seal(plain),
        )

    def _remove(self, file: ArchiveFile) -> None:
        try:
            self.shelf.remove(file.name)
        except ShelfError as error:
            get_logger().warning("archive.left_over", file=file.name, error=str(error))


_UNSEALED = Sealer()


def file_name(file_id: int, received_at_ms: int, draw: int, sealed: bool) -> str:
    """Where a file is kept: by the month of its first event, with its id, and never the same twice."""
    month = (iso(received_at_ms) or "")[:7]
    return f"{month}/{file_id}-{draw}.jsonl.gz{'.sealed' if sealed else ''}"


def _within(sizes: Sequence[tuple[int, int]], most_bytes: int) -> list[int]:
    ids: list[int] = []
    size = 0
    for inbox_id, length in sizes:
        size += length
        if ids and size > most_bytes:
            break
        ids.append(inbox_id)
    return ids
