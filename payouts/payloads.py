"""The payload of an event, wherever it is: in its row, sealed in its row, or in an archive file."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from payouts.archive_file import Block, Record, block_of, read_blocks, unpack
from payouts.errors import PayloadUnavailableError, PayoutsError
from payouts.sealing import Sealer, archive_file_of
from payouts.shelf import Shelf
from payouts.storage.archive_rows import ArchiveFile, files_by_id
from payouts.storage.inbox import WorkItem


@dataclass(frozen=True, slots=True)
class Payloads:
    """Finds and opens payloads. `shelf`: None where no archive is set."""

    sealer: Sealer = field(default_factory=Sealer)
    shelf: Shelf | None = None

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
        return [replace(item, payload=found.get(item.id, item.payload)) for item in items]

    def _from_file(
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


def _by_file(wanted: Mapping[int, int]) -> dict[int, list[int]]:
    by_file: dict[int, list[int]] = defaultdict(list)
    for inbox_id, file_id in wanted.items():
        by_file[file_id].append(inbox_id)
    return by_file


def _not_in(file: ArchiveFile, inbox_id: int) -> PayloadUnavailableError:
    return PayloadUnavailableError(f"archive file {file.name} does not hold event {inbox_id}, as it should")
