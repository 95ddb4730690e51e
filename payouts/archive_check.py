"""Whether the archive still has what was put into it: files read back, and what belongs to no row named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from payouts.archive_file import Block, digest_of, part_of, read_blocks, unpack
from payouts.clock import Clock
from payouts.errors import PayloadUnavailableError
from payouts.ids import time_of
from payouts.sealing import Sealer
from payouts.shelf import Shelf, ShelfError
from payouts.storage import archive_rows
from payouts.storage.archive_rows import ArchiveFile
from payouts.storage.queries import reading

PAGE = 20
"""Files whose rows are in memory at once: each has a list of its blocks."""
YOUNG_MS = 3_600_000
"""A file that no row points at may be one that is being made."""
_NAME = re.compile(r"\d{4}-\d\d/(\d+)-(\d+)\.jsonl\.gz(\.sealed)?")


@dataclass(frozen=True, slots=True)
class ArchiveCheck:
    """Looks at the archive and changes nothing."""

    engine: Engine
    shelf: Shelf
    sealer: Sealer
    clock: Clock

    def files(self) -> Iterator[ArchiveFile]:
        """All files, by id. No transaction stays open in between."""
        after = 0
        while True:
            with reading(self.engine) as connection:
                found = archive_rows.files_after(connection, after, PAGE)
            yield from found
            if len(found) < PAGE:
                return
            after = found[-1].id

    def fault(self, file: ArchiveFile) -> str | None:
        """What is wrong with a file, and what to do; None where it is as it was written."""
        try:
            content = self.shelf.get(file.name)
        except ShelfError as error:
            return f"{error}. Bring it back from a copy: until then {file.events} payloads cannot be had"
        try:
            blocks = read_blocks(file.blocks)
        except PayloadUnavailableError as error:
            return str(error)
        faults = [(block, fault) for block in blocks if (fault := self._block_fault(content, block))]
        if faults:
            damaged = [_rows(blocks, block, file) for block, _ in faults]
            return (
                f"{faults[0][1]}. {len(faults)} of {len(blocks)} blocks, with the rows {', '.join(damaged)}"
            )
        if digest_of(content) != file.sha256:
            return "longer than it was written, or its row was changed: what its blocks hold is whole"
        return None

    def left_over(self) -> Iterator[str]:
        """Files that no row points at: somebody was stopped while making them. They can be deleted."""
        for name in self.shelf.names():
            parts = _NAME.match(name)
            if parts is None or time_of(int(parts[2])) > self.clock() - YOUNG_MS:
                continue
            with reading(self.engine) as connection:
                known = archive_rows.is_known(connection, name, int(parts[1]))
            if not known:
                yield name

    def _block_fault(self, content: bytes, block: Block) -> str | None:
        try:
            unpack(part_of(content, block), block, self.sealer)
        except PayloadUnavailableError as error:
            return str(error)
        return None


def _rows(blocks: list[Block], block: Block, file: ArchiveFile) -> str:
    following = blocks.index(block) + 1
    upto = f"before {blocks[following].first_id}" if following < len(blocks) else f"up to {file.last_id}"
    return f"from {block.first_id} {upto}"
