"""Archive files as rows, and the rows of the inbox whose payloads move into them.

What is in an archive has `due_at_ms` at ARCHIVED_DUE_MS: a finished event is due for nothing, and so the
index that the sweeper uses finds the oldest payloads that are still here, also of what was finished late.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from payouts.archive_file import Record
from payouts.errors import RowIdTakenError
from payouts.sealing import archived
from payouts.states import EventStatus
from payouts.storage.archive_tables import archive_files
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records
from payouts.storage.tables import inbox

ARCHIVED_DUE_MS = 253_402_214_400_000
"""9999-12-31: when an archived event is due."""
FINISHED = (EventStatus.APPLIED, EventStatus.IGNORED)
"""What may be archived. What is open, dead or was decided on by a person stays."""
_AT_ONCE = 1_000
_LISTED = [column for column in archive_files.c if column.name != "blocks"]


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file and what is in it. `events`: how many were pointed at it when it was made."""

    id: int
    account: str
    name: str
    sha256: str
    events: int
    bytes: int
    sealed: bool
    first_id: int
    last_id: int
    created_at_ms: int
    blocks: str


FILES = Records(archive_files, ArchiveFile, fixed=["id", "account"], reads={})


def old_events(connection: Connection, before_ms: int, limit: int) -> list[tuple[int, int]]:
    """Finished events that are not archived and were due before `before_ms`, as (inbox id, bytes stored)."""
    found: list[tuple[int, int]] = []
    for status in FINISHED:
        if len(found) >= limit:
            break
        query = (
            select(inbox.c.id, func.length(inbox.c.payload))
            .where(inbox.c.status == status, inbox.c.due_at_ms < min(before_ms, ARCHIVED_DUE_MS))
            .order_by(inbox.c.due_at_ms)
            .limit(limit - len(found))
        )
        found += [(row[0], row[1]) for row in connection.execute(query)]
    return found


def count_old(connection: Connection, before_ms: int) -> int:
    """How many of `old_events` there are."""
    query = select(func.count()).where(inbox.c.status.in_(FINISHED), inbox.c.due_at_ms < before_ms)
    return int(connection.scalar(query) or 0)


def read_records(connection: Connection, ids: Iterable[int]) -> list[Record]:
    """Events as they are stored, in the order of their ids."""
    columns = [inbox.c[name] for name in Record.__struct_fields__]
    found: list[Record] = []
    for some in _chunks(sorted(ids)):
        query = select(*columns).where(inbox.c.id.in_(some)).order_by(inbox.c.id)
        found += [Record(*row) for row in connection.execute(query)]
    return found


def add_file(connection: Connection, file: ArchiveFile) -> None:
    """Note a file. RowIdTakenError where its id belongs to another."""
    try:
        FILES.insert(connection, [file])
    except IntegrityError:
        raise RowIdTakenError(f"row id {file.id} for an archive file is taken") from None


def point_at(connection: Connection, file_id: int, ids: Sequence[int]) -> int:
    """Let the file stand for the payloads of these events; returns for how many.

    Left out is what somebody else archived meanwhile, or what is no longer finished.
    """
    return _update(connection, ids, payload=archived(file_id), due_at_ms=ARCHIVED_DUE_MS)


def note_archived(connection: Connection, ids: Sequence[int]) -> None:
    """Note of events that are archived already that it is so: they were replayed since."""
    _update(connection, ids, due_at_ms=ARCHIVED_DUE_MS)


def files_by_id(connection: Connection, ids: Iterable[int]) -> dict[int, ArchiveFile]:
    """The files with these ids, as far as they are known."""
    return {file.id: file for file in FILES.find(connection, archive_files.c.id.in_(sorted(set(ids))))}


def files_after(connection: Connection, file_id: int, limit: int) -> list[ArchiveFile]:
    """Files by id from behind `file_id` on."""
    return FILES.all(connection, FILES.query(archive_files.c.id > file_id).limit(limit))


def is_known(connection: Connection, name: str, file_id: int) -> bool:
    """Whether the file `file_id` is kept under this name."""
    query = select(archive_files.c.id).where(archive_files.c.id == file_id, archive_files.c.name == name)
    return connection.execute(query).first() is not None


def count_files(connection: Connection) -> int:
    """How many files there are."""
    return int(connection.scalar(select(func.count()).select_from(archive_files)) or 0)


def replace_file(connection: Connection, old: ArchiveFile, new: ArchiveFile) -> bool:
    """Let `new` stand in place of `old`, which has the same id; False where somebody replaced it before."""
    changed = {name: getattr(new, name) for name in ("name", "sha256", "bytes", "sealed", "blocks")}
    result = connection.execute(
        update(archive_files)
        .where(archive_files.c.id == old.id, archive_files.c.name == old.name)
        .values(changed)
    )
    return result.rowcount == 1


def file_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Files, newest first, without their blocks."""
    return page(connection, select(*_LISTED), archive_files, filters, limit)


def _update(connection: Connection, ids: Sequence[int], **values: object) -> int:
    changed = 0
    for some in _chunks(sorted(ids)):
        result = connection.execute(
            update(inbox)
            .where(inbox.c.id.in_(some), inbox.c.status.in_(FINISHED), inbox.c.due_at_ms < ARCHIVED_DUE_MS)
            .values(values)
        )
        changed += result.rowcount
    return changed


def _chunks(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
