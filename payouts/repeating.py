"""Repeated requests of the portal: how long their answers are kept."""

from sqlalchemy import Engine

from payouts.storage import idempotency_rows

KEPT_DAYS = 30
"""Far longer than any client repeats a request."""
DAY_MS = 86_400_000
PRUNE_MOST = 1_000
PRUNE_STEPS = 20
"""At one turn, so that a backlog never keeps the scheduler from its other jobs."""


def forget_answers(engine: Engine, now_ms: int) -> int:
    """Delete answers older than 30 days, in steps of their own transactions; returns how many."""
    forgotten = 0
    for _ in range(PRUNE_STEPS):
        with engine.begin() as connection:
            step = idempotency_rows.prune(connection, now_ms - KEPT_DAYS * DAY_MS, PRUNE_MOST)
        forgotten += step
        if step < PRUNE_MOST:
            break
    return forgotten
