"""What failed, written with the attempt that failed: the attempt, the event's status, its cause."""

import traceback
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, update

from payouts.errors import RowIdTakenError
from payouts.failure_cause import Fingerprint, fingerprint_of
from payouts.ids import IdMaker
from payouts.states import EventStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.failure_tables import failure_groups, inbox_failures
from payouts.storage.inbox import WorkItem
from payouts.storage.tables import inbox, inbox_attempts
from payouts.version import VERSION

ERROR_CHARS = 1000
TRACEBACK_CHARS = 100_000
ATTEMPTS_COUNTED = 30_000
"""Counting stops here: the column holds little more."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt at an event. `due_at_ms`: when to try again; None: it is dead."""

    item: WorkItem
    error: BaseException
    worker: str
    at_ms: int
    due_at_ms: int | None
    cause: Fingerprint = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cause", fingerprint_of(self.error))

    @property
    def message(self) -> str:
        return (str(self.error) or type(self.error).__name__)[:ERROR_CHARS]

    @property
    def status(self) -> EventStatus:
        return EventStatus.DEAD if self.due_at_ms is None else EventStatus.RETRYING

    @property
    def attempt(self) -> int:
        return min(self.item.attempts + 1, ATTEMPTS_COUNTED)


def record_failures(connection: Connection, failures: Sequence[Failure], make_id: IdMaker) -> None:
    """Count each attempt on its event's row, and keep its error with the traceback."""
    if not failures:
        return
    for failure in failures:
        connection.execute(
            update(inbox)
            .where(inbox.c.id == failure.item.id)
            .values(
                status=failure.status,
                attempts=failure.attempt,
                resends=0,
                last_error=failure.message,
                reason=None,
                due_at_ms=failure.at_ms if failure.due_at_ms is None else failure.due_at_ms,
                processed_at_ms=failure.at_ms if failure.due_at_ms is None else None,
            )
        )
    _insert_attempts(connection, failures, make_id)
    _keep(connection, failures)
    _note_groups(connection, failures, make_id)


def forget_failures(connection: Connection, inbox_ids: Collection[int]) -> None:
    """These events are through, or wait for something that is no error of theirs."""
    if inbox_ids:
        connection.execute(delete(inbox_failures).where(inbox_failures.c.id.in_(sorted(inbox_ids))))


def _insert_attempts(connection: Connection, failures: Sequence[Failure], make_id: IdMaker) -> None:
    columns = (
        *("id", "account", "inbox_id", "attempt", "at_ms", "worker", "version"),
        *("error_class", "error", "traceback", "fingerprint"),
    )
    rows = [
        (
            make_id(),
            failure.item.account,
            failure.item.id,
            failure.attempt,
            failure.at_ms,
            failure.worker[:128],
            VERSION,
            failure.cause.error_class,
            failure.message,
            "".join(traceback.format_exception(failure.error))[-TRACEBACK_CHARS:],
            failure.cause.key,
        )
        for failure in failures
    ]
    for chunk in _chunks(rows):
        insert_rows(connection, inbox_attempts, columns, chunk)


def _keep(connection: Connection, failures: Sequence[Failure]) -> None:
    ids = [failure.item.id for failure in failures]
    f = inbox_failures.c
    held = connection.execute(select(f.id, f.first_failed_at_ms).where(f.id.in_(ids)))
    since = {row.id: row.first_failed_at_ms for row in held}
    forget_failures(connection, since)
    columns = (
        *("id", "account", "event_id", "type", "object_id", "status", "fingerprint", "error"),
        *("first_failed_at_ms", "failed_at_ms"),
    )
    rows = [
        (
            *(failure.item.id, failure.item.account, failure.item.event_id, failure.item.type),
            *(failure.item.object_id, failure.status, failure.cause.key, failure.message),
            *(since.get(failure.item.id, failure.at_ms), failure.at_ms),
        )
        for failure in failures
    ]
    insert_rows(connection, inbox_failures, columns, rows)


def _note_groups(connection: Connection, failures: Sequence[Failure], make_id: IdMaker) -> None:
    first = {failure.cause.key: failure for failure in reversed(failures)}
    g = failure_groups.c
    known = set(
        connection.scalars(select(g.fingerprint).where(g.account == PLATFORM, g.fingerprint.in_(first)))
    )
    columns = (
        *("id", "account", "fingerprint", "error_class", "place", "message", "example"),
        *("first_seen_ms", "first_version", "told_size"),
    )
    rows = [
        (
            *(make_id(), PLATFORM, key, failure.cause.error_class, failure.cause.place),
            *(failure.cause.message, failure.message, failure.at_ms, VERSION, 0),
        )
        for key, failure in sorted(first.items())
        if key not in known
    ]
    if insert_rows(connection, failure_groups, columns, rows, skip="fingerprint") == len(rows):
        return
    stored = set(
        connection.scalars(select(g.fingerprint).where(g.fingerprint.in_(first)).with_for_update(read=True))
    )
    if first.keys() - stored:
        raise RowIdTakenError(f"row ids for failure groups {sorted(first.keys() - stored)[:3]} are taken")


_CHUNK_CHARS = 4 * 1024 * 1024
"""Tracebacks are long: a statement stays well under the smallest max_allowed_packet in use."""


def _chunks(rows: Iterable[tuple[int | str, ...]]) -> Iterable[list[tuple[int | str, ...]]]:
    chunk: list[tuple[int | str, ...]] = []
    size = 0
    for row in rows:
        length = sum(len(value) for value in row if isinstance(value, str))
        if chunk and size + length > _CHUNK_CHARS:
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += length
    if chunk:
        yield chunk
