"""When a failed event is tried again: exponential, with jitter, bounded."""

import random

FIRST_MS = 2_000
LONGEST_MS = 3_600_000


def retry_delay_ms(attempt: int, *, spread: float | None = None) -> int:
    """The wait after failed attempt number `attempt` (1 for the first), in milliseconds.

    Doubles from 2 s up to an hour, then half of it is drawn at random so that what failed together does
    not come back together. Fifteen attempts span about four hours.
    """
    full = min(FIRST_MS * 2 ** (min(attempt, 30) - 1), LONGEST_MS)
    drawn = random.random() if spread is None else spread
    return int(full * (0.5 + drawn / 2))
