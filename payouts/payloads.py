"""The payload of an event, wherever it is: in its row, sealed in its row, or in an archive file."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Engine

from payouts.archive_file import Block, Record, block_of, read_blocks, unpack
from payouts.errors import PayloadUnavailableError, PayoutsError
from payouts.sealing import Sealer, archive_file_of
from payouts.shelf import Shelf
from payouts.storage.archive_rows import ArchiveFile, files_by_id
from payouts.storage.inbox import WorkItem, read_any

AWAY_S = 5.0


@dataclass(frozen=True, slots=True)
class Payloads:
    """Finds and opens payloads. `shelf`: None where no archive is set."""

    sealer: Sealer = field(default_factory=Sealer)
    shelf: Shelf | None = None
    away: dict[int, tuple[float, str]] = field(default_factory=dict, repr=False)
    """Files that were not to be had: until when nobody asks again, and why."""

    def open(self, connection: Connection, inbox_id: int, stored: bytes) -> bytes:
        """The bytes as Stripe signed them, of what the row of `inbox_id` has.

        Raises PayloadUnavailableError, with what to do, where no key fits or the archive does not have it.
        """
        file_id = archive_file_of(stored)
        if file_id is not None:
            stored = self._from_file(file_id, files_by_id(connection, [file_id]), [inbox_id])[inbox_id]
        return self.sealer.open(stored)

    def fetch(self, connection: Connection, items: Sequence[WorkItem]) -> list[WorkItem]:
        """`items` with their payloads brought back from the archive, for `open` to open.

        Many at once cost the reading of each block once. What cannot be had stays as it is: `open` says why.
        """
        wanted = {
            item.id: file_id for item in items if (file_id := archive_file_of(item.payload)) is not None
        }
        if not wanted:
            return list(items)
        files = files_by_id(connection, wanted.values())
        found: dict[int, bytes] = {}
        for file_id, ids in _by_file(wanted).items():
            with suppress(PayloadUnavailableError):
                found |= self._from_file(file_id, files, ids)
        return [replace(item, payload=found[item.id]) if item.id in found else item for item in items]

    def bring(self, engine: Engine, ids: Sequence[int]) -> dict[int, bytes]:
        """The payloads of those of these events that are archived, by inbox id, for `with_payloads`."""
        with engine.connect().execution_options(read_only=True) as connection:
            held = read_any(connection, ids)
            fetched = self.fetch(connection, held)
        return {new.id: new.payload for old, new in zip(held, fetched, strict=True) if new is not old}

    def _from_file(
        self, file_id: int, files: Mapping[int, ArchiveFile], ids: Iterable[int]
    ) -> dict[int, bytes]:
        # One that was not to be had just now is not asked for again by each of its events.
        until_s, why = self.away.get(file_id, (0.0, ""))
        if time.monotonic() < until_s:
            raise PayloadUnavailableError(why)
        try:
            return self._read_file(file_id, files, ids)
        except PayloadUnavailableError as error:
            self.away[file_id] = (time.monotonic() + AWAY_S, str(error))
            raise

    def _read_file(
        self, file_id: int, files: Mapping[int, ArchiveFile], ids: Iterable[int]
    ) -> dict[int, bytes]:
        file = files.get(file_id)
        if file is None:
            raise PayloadUnavailableError(
                f"the payload lies in archive file {file_id}, which this database does not know: "
                "restore the table archive_files from a backup"
            )
        blocks = read_blocks(file.blocks)
        by_block: dict[Block, set[int]] = defaultdict(set)
        for inbox_id in ids:
            block = block_of(blocks, inbox_id)
            if block is None:
                raise _not_in(file, inbox_id)
            by_block[block].add(inbox_id)
        found: dict[int, bytes] = {}
        for block, held in by_block.items():
            records = {record.id: record.payload for record in self._read(file, block)}
            for inbox_id in held:
                if inbox_id not in records:
                    raise _not_in(file, inbox_id)
                found[inbox_id] = records[inbox_id]
        return found

    def _read(self, file: ArchiveFile, block: Block) -> Sequence[Record]:
        if self.shelf is None:
            raise PayloadUnavailableError(
                f"the payload lies in the archive file {file.name}, and ARCHIVE_URL is empty: "
                "set it to where the archive is"
            )
        try:
            return unpack(self.shelf.get(file.name, block.offset, block.length), block, self.sealer)
        except PayoutsError as error:
            raise PayloadUnavailableError(f"archive file {file.name}: {error}") from error


def with_payloads(items: Iterable[WorkItem], brought: Mapping[int, bytes]) -> list[WorkItem]:
    """`items`, those among them that were brought from the archive with their payloads."""
    return [replace(item, payload=brought.get(item.id, item.payload)) for item in items]


def _by_file(wanted: Mapping[int, int]) -> dict[int, list[int]]:
    by_file: dict[int, list[int]] = defaultdict(list)
    for inbox_id, file_id in wanted.items():
        by_file[file_id].append(inbox_id)
    return by_file


def _not_in(file: ArchiveFile, inbox_id: int) -> PayloadUnavailableError:
    return PayloadUnavailableError(f"archive file {file.name} does not hold event {inbox_id}, as it should")
