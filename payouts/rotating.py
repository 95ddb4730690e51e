"""All payloads of the inbox are sealed with the first key, in steps, while the service runs.

It can be stopped anywhere and run again: what is sealed with the first key already is only read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.errors import PayloadError, PayloadUnavailableError
from payouts.sealing import Sealer, archive_file_of
from payouts.storage import payload_rows
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction

STEP_ROWS = 200
STEP_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a step did with the rows up to `last_id`; None: there are no more."""

    last_id: int | None
    rows: int = 0
    sealed: int = 0
    """How many were sealed anew."""
    archived: int = 0
    """How many lie in archive files, which are sealed by themselves."""
    closed: tuple[int, ...] = ()
    """Inbox ids of those that no key opens; they stay as they are."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Seals what the inbox has with the first key of `sealer`."""

    engine: Engine
    sealer: Sealer
    step_rows: int = STEP_ROWS
    step_bytes: int = STEP_BYTES

    def step(self, after_id: int) -> Rotated:
        """Go on behind the row `after_id`."""
        with reading(self.engine) as connection:
            ids = self._next(connection, after_id)
            stored = payload_rows.read_payloads(connection, ids)
        if not ids:
            return Rotated(None)
        # Read without a lock first: a second run finds most rows as they should be, and locks none of them.
        closed = tuple(
            inbox_id for inbox_id in ids if inbox_id in stored and not self._opens(stored[inbox_id])
        )
        old = [i for i in ids if i in stored and i not in closed and self._is_old(stored[i])]
        if old:
            in_transaction(self.engine, lambda connection: self._seal(connection, old))
        archived = sum(archive_file_of(each) is not None for each in stored.values())
        return Rotated(ids[-1], len(ids), len(old), archived, closed)

    def _next(self, connection: Connection, after_id: int) -> list[int]:
        ids: list[int] = []
        size = 0
        for inbox_id, length in payload_rows.sizes_after(connection, after_id, self.step_rows):
            size += length
            if ids and size > self.step_bytes:
                break
            ids.append(inbox_id)
        return ids

    def _is_old(self, stored: bytes) -> bool:
        return archive_file_of(stored) is None and not self.sealer.is_current(stored)

    def _opens(self, stored: bytes) -> bool:
        if archive_file_of(stored) is not None:
            return True
        try:
            self.sealer.open(stored)
        except (PayloadUnavailableError, PayloadError):
            return False
        return True

    def _seal(self, connection: Connection, ids: Sequence[int]) -> None:
        # Locked and read again: it may have been archived meanwhile.
        held = payload_rows.lock_payloads(connection, ids)
        payload_rows.replace_payloads(
            connection,
            {
                inbox_id: self.sealer.seal(self.sealer.open(stored))
                for inbox_id, stored in held.items()
                if self._is_old(stored)
            },
        )
