"""Fills the inbox with what months of traffic would have left: finished events, and dead ones among them."""

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.bed import Bed
from bench.events import new_events
from payouts.clock import now_ms
from payouts.failure_cause import normalised
from payouts.ids import floor_id
from payouts.states import EventStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.failure_tables import failure_groups, inbox_failures
from payouts.storage.inbox import _COLUMNS, WEBHOOK, _row
from payouts.storage.tables import inbox, inbox_attempts
from payouts.version import VERSION

PARTS = 4
AT_ONCE = 1_000
DAYS = 90
"""How long a time the history spans."""
CAUSES = 20
SHRINKS = 0.62
"""Each cause has so much of the events of the one before it: of 100,000 the first has 38,000, the last 4."""
ATTEMPTS = 2
TRACEBACK_CHARS = 1_500
ACCOUNTS = 200
TYPES = (
    *(("payout.created", 0.30), ("payout.updated", 0.25), ("payout.paid", 0.25)),
    *(("balance.available", 0.15), ("account.updated", 0.05)),
)
RARE_TYPE, RARE_ACCOUNT = "payout.canceled", "acct_rare"
RARE_TYPE_EACH, RARE_ACCOUNT_EACH = 10_000, 50_000
"""One event among so many."""


def fill(bed: Bed, rows: int) -> None:
    """`rows` applied events, in the order of their ids."""

    def part(number: int) -> None:
        for group in new_events(rows // PARTS):
            values = [(*row[:12], "applied", *row[13:]) for row in map(_row, group)]
            with bed.engine.begin() as connection:
                insert_rows(connection, inbox, _COLUMNS, values)

    _in_parts(part)


@dataclass(frozen=True, slots=True)
class History:
    """Events over DAYS, one in `dead_each` of them dead; the same ones each time."""

    events: int
    dead: int
    payload_bytes: int
    since_ms: int

    @property
    def dead_each(self) -> int:
        return self.events // self.dead

    def at_ms(self, number: int) -> int:
        return self.since_ms + number * DAYS * 86_400_000 // self.events

    def row_id(self, number: int) -> int:
        return floor_id(self.at_ms(number)) + number % 1024

    def is_dead(self, number: int) -> bool:
        return number % self.dead_each == 0

    @staticmethod
    def account(number: int) -> str:
        if number % RARE_ACCOUNT_EACH == 0:
            return RARE_ACCOUNT
        # Skewed: the first account has one event in fourteen, the last one in four hundred.
        return account_name(int(ACCOUNTS * _spread(number, 1) ** 2))

    @staticmethod
    def type(number: int) -> str:
        if number % RARE_TYPE_EACH == 0:
            return RARE_TYPE
        return TYPES[bisect_right(_TYPE_ENDS, _spread(number, 2))][0]

    @staticmethod
    def object_id(number: int) -> str:
        return f"po_{(number // 3 * 0x9E3779B97F4A7C15F39CC060 | 1) % (1 << 96):024x}"

    @staticmethod
    def event_id(number: int) -> str:
        return f"evt_{(number * 0xC2B2AE3D27D4EB4F165667C5 | 1) % (1 << 96) + number:025x}"

    @staticmethod
    def cause(number: int) -> int:
        return min(bisect_right(_CAUSE_ENDS, _spread(number, 3)), CAUSES - 1)


def fill_history(bed: Bed, events: int, dead: int, payload_bytes: int) -> History:
    """`events` finished ones and `dead` dead ones, with their attempts and the groups of their causes."""
    history = History(events + dead, dead, payload_bytes, now_ms() - DAYS * 86_400_000)
    payload = b'{"object": "event", "filler": "%b"}' % (b"x" * payload_bytes)

    def part(which: int) -> None:
        first, last = (history.events * edge // PARTS for edge in (which, which + 1))
        for numbers in _grouped(range(first, last)):
            with bed.engine.begin() as connection:
                rows = [_event(history, number, payload) for number in numbers]
                insert_rows(connection, inbox, _INBOX, rows)
                failed = [number for number in numbers if history.is_dead(number)]
                rows = [_failure(history, number) for number in failed]
                insert_rows(connection, inbox_failures, _FAILURES, rows)
                tried = itertools.product(failed, range(1, ATTEMPTS + 1))
                rows = [_attempt(history, number, attempt) for number, attempt in tried]
                insert_rows(connection, inbox_attempts, _ATTEMPTS, rows)

    indexes = sorted(inbox.indexes, key=lambda index: str(index.name))
    for index in indexes:  # built at the end, each in one sorted pass: many times as fast
        index.drop(bed.engine)
    _in_parts(part)
    for index in indexes:
        index.create(bed.engine)
    with bed.engine.begin() as connection:
        insert_rows(connection, failure_groups, _GROUPS, [_group(history, cause) for cause in range(CAUSES)])
    for table in (inbox, inbox_failures, inbox_attempts):
        bed.run(f"ANALYZE TABLE {table.name}")  # as a server does by itself, but now
    return history


def account_name(index: int) -> str:
    return f"acct_{index:016d}"


def fingerprint(cause: int) -> str:
    return f"{cause:016x}"


def error_of(cause: int, number: int) -> str:
    return f"step {cause} of the settlement of po_{number} is not known to this version"


_INBOX = (*_COLUMNS, "processed_at_ms", "reason", "last_error")
_FAILURES = (
    *("id", "account", "event_id", "type", "object_id", "status", "fingerprint", "error"),
    *("first_failed_at_ms", "failed_at_ms"),
)
_ATTEMPTS = (
    *("id", "account", "inbox_id", "attempt", "at_ms", "worker", "version"),
    *("error_class", "error", "traceback", "fingerprint"),
)
_GROUPS = (
    *("id", "account", "fingerprint", "error_class", "place", "message", "example"),
    *("first_seen_ms", "first_version", "told_size"),
)
_TYPE_ENDS = list(itertools.accumulate(share for _, share in TYPES[:-1]))
_CAUSE_ENDS = list(itertools.accumulate((1 - SHRINKS) * SHRINKS**cause for cause in range(CAUSES)))
_RETRY_MS = 60_000
_TRACEBACK = ("Traceback (most recent call last):\n" + "  in a frame of the code that failed\n" * 100)[
    :TRACEBACK_CHARS
]

Row = tuple[int | str | bytes | None, ...]


def _event(history: History, number: int, payload: bytes) -> Row:
    at_ms, dead = history.at_ms(number), history.is_dead(number)
    return (
        *(history.row_id(number), history.event_id(number), history.account(number), history.type(number)),
        *("snapshot", history.object_id(number), 0, "2026-10-28.endive", at_ms // 1000, WEBHOOK, "bench"),
        *(at_ms, "dead" if dead else "applied", at_ms, ATTEMPTS if dead else 0, 0, payload, at_ms + 5),
        *((None, error_of(history.cause(number), number)) if dead else ("as Stripe reports", None)),
    )


def _failure(history: History, number: int) -> Row:
    cause, at_ms = history.cause(number), history.at_ms(number)
    return (
        *(history.row_id(number), history.account(number), history.event_id(number), history.type(number)),
        *(history.object_id(number), EventStatus.DEAD, fingerprint(cause), error_of(cause, number)),
        *(at_ms, at_ms + ATTEMPTS * _RETRY_MS),
    )


def _attempt(history: History, number: int, attempt: int) -> Row:
    cause, at_ms = history.cause(number), history.at_ms(number) + attempt * _RETRY_MS
    return (
        *(floor_id(at_ms) + (number % (1 << 18) << 4 | attempt), history.account(number)),
        *(history.row_id(number), attempt, at_ms, "bench:1", VERSION, "UnknownStepError"),
        *(error_of(cause, number), _TRACEBACK, fingerprint(cause)),
    )


def _group(history: History, cause: int) -> Row:
    error = error_of(cause, 1)
    return (
        *(floor_id(history.since_ms) + cause, PLATFORM, fingerprint(cause), "UnknownStepError"),
        *(f"payouts.machine:step_{cause:02d}", normalised(error), error, history.since_ms, VERSION, 0),
    )


def _spread(number: int, salt: int) -> float:
    """Between 0 and 1, as if by chance, and the same each time."""
    mixed = (number + 1) * (0x9E3779B97F4A7C15 + 2 * salt * 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 31) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return (mixed >> 11) / (1 << 53)


def _grouped(numbers: Iterable[int]) -> Iterator[list[int]]:
    each = iter(numbers)
    while group := list(itertools.islice(each, AT_ONCE)):
        yield group


def _in_parts(part: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(PARTS) as pool:
        list(pool.map(part, range(PARTS)))
