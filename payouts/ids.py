"""Row ids: 63-bit integers that grow with time, made by each process without asking anybody.

Layout, high to low: 41 bits of milliseconds since 2025-01-01 (until 2094), 12 bits drawn at random by the
process, 10 bits of a counter. Growing ids keep inserts at the end of the table's tree however large it is,
which random Stripe ids do not.

Two processes can draw the same 12 bits, so an id may collide. Every insert must therefore treat a taken
primary key as a reason to draw again, and never overwrite on it.
"""

import secrets
import threading

from payouts.clock import Clock, now_ms

EPOCH_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z
NODE_BITS = 12
COUNTER_BITS = 10
_COUNTER_MASK = (1 << COUNTER_BITS) - 1


class IdMaker:
    """Makes ids that strictly grow within the process; safe to share between threads."""

    def __init__(self, clock: Clock = now_ms, node: int | None = None) -> None:
        self._clock = clock
        self._node = secrets.randbits(NODE_BITS) if node is None else node
        self._at_ms = 0
        self._counter = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            at_ms = self._clock()
            if at_ms > self._at_ms:
                self._at_ms, self._counter = at_ms, 0
            elif self._counter < _COUNTER_MASK:
                self._counter += 1
            else:
                # More than 1,024 ids in a millisecond, or a clock set back: borrow from the next one.
                self._at_ms, self._counter = self._at_ms + 1, 0
            ticks = self._at_ms - EPOCH_MS
            return (ticks << (NODE_BITS + COUNTER_BITS)) | (self._node << COUNTER_BITS) | self._counter


def floor_id(at_ms: int) -> int:
    """The smallest id that could have been made at `at_ms`: turns a time into a key to page by."""
    return max(at_ms - EPOCH_MS, 0) << (NODE_BITS + COUNTER_BITS)


def time_of(row_id: int) -> int:
    """When the id was made, in milliseconds, by the clock of its maker."""
    return (row_id >> (NODE_BITS + COUNTER_BITS)) + EPOCH_MS


def following(row_id: int, drawn: int) -> int:
    """An id of the millisecond after that of `row_id`, the rest of it as in `drawn`, an id made just now.

    It sorts behind `row_id`, and is as unlikely to be taken as any other.
    """
    low = NODE_BITS + COUNTER_BITS
    return ((row_id >> low) + 1 << low) | (drawn & ((1 << low) - 1))
