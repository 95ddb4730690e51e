"""Closing a month of the ledger: nothing that counts in it is posted any more, and its sums are kept.

Two steps, so that nobody waits while postings are counted: the month is closed, under a lock that every
posting with a date of its own shares; then what cannot change any more is summed. A close that was broken
off between them is finished by running it again.
"""

import dataclasses
from functools import partial

from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.period import Month, month_of, parse_month
from payouts.storage import audit_rows, closing_rows
from payouts.storage.closing_rows import START, Close
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction

AFTER_MS = 3_600_000
"""A month can be closed so long after its end: what was posted in its last moments is committed by then."""
AHEAD_MS = 86_400_000
"""How far a date may lie ahead: somewhere it is tomorrow already."""
EARLIEST_MS = 946_684_800_000
"""2000-01-01: a date before it is a slip."""


def close_month(engine: Engine, period: str, actor: Actor, make_id: IdMaker, clock: Clock) -> Close:
    """Close a month, or return it as it was closed before.

    Months are closed one after the other; the first one closes all that came before it too. Raises
    RefusedError `bad_period` or `period_not_next`.
    """
    actor.require(Scope.ADMIN)
    month = parse_month(period)
    in_transaction(engine, partial(_begin, month=month, actor=actor, make_id=make_id, now_ms=clock()))
    counted = _counted(engine, period)
    in_transaction(engine, partial(_finish, counted=counted, actor=actor, make_id=make_id, now_ms=clock()))
    return counted


def check_open(connection: Connection, effective_at_ms: int, make_id: IdMaker, now_ms: int) -> None:
    """That something may be posted that counts at this time, until the caller's transaction ends.

    Raises RefusedError `period_closed` or `bad_date`. What counts from the moment it is posted needs no
    such check: a month is closed only after its end.
    """
    if effective_at_ms > now_ms + AHEAD_MS:
        raise RefusedError("bad_date", f"{iso(effective_at_ms)} lies ahead: only what has happened is posted")
    if effective_at_ms < EARLIEST_MS:
        raise RefusedError("bad_date", f"nothing counts before {iso(EARLIEST_MS)}")
    until_ms = closing_rows.closed_until_ms(connection, make_id, now_ms)
    if effective_at_ms < until_ms:
        last = month_of(until_ms - 1)
        raise RefusedError(
            "period_closed",
            f"the books are closed up to {last}: nothing can count on {iso(effective_at_ms)} any more; "
            f"post it with a date from {iso(until_ms)} on, or with none",
        )


def _begin(connection: Connection, *, month: Month, actor: Actor, make_id: IdMaker, now_ms: int) -> None:
    from_ms = closing_rows.closed_until_ms(connection, make_id, now_ms, closing=True)
    if closing_rows.find_close(connection, str(month)) is not None:
        return
    if month.until_ms + AFTER_MS > now_ms:
        raise RefusedError(
            "bad_period", f"{month} can be closed from {iso(month.until_ms + AFTER_MS)} on, not before"
        )
    if from_ms and month.from_ms != from_ms:
        raise RefusedError(
            "period_not_next",
            f"the books are closed up to {month_of(from_ms - 1)}: the next month to close is "
            f"{month_of(from_ms)}, not {month}",
        )
    closing_rows.insert_close(connection, make_id(), str(month), from_ms, month.until_ms, actor.name, now_ms)
    audit_rows.append(
        connection, make_id, now_ms, actor=actor.name, action="ledger.close", subject=str(month)
    )


def _counted(engine: Engine, period: str) -> Close:
    with reading(engine) as connection:
        months = closing_rows.closes(connection)
        at = next(index for index, close in enumerate(months) if close.period == period)
        close = months[at]
        if close.digest is not None:
            return close
        before = months[at - 1] if at else None
        if before is not None and before.digest is None:
            raise RefusedError(
                "period_not_next", f"{before.period} is closed and not counted yet: close it once more first"
            )
        transactions, sums = closing_rows.sums_between(connection, close.from_ms, close.until_ms)
    previous = before.digest if before is not None else START
    counted = dataclasses.replace(close, transactions=transactions, sums=sums, previous=previous)
    return dataclasses.replace(counted, digest=counted.seal())


def _finish(connection: Connection, *, counted: Close, actor: Actor, make_id: IdMaker, now_ms: int) -> None:
    closing_rows.closed_until_ms(connection, make_id, now_ms, closing=True)
    held = closing_rows.find_close(connection, counted.period)
    if held is None or held.digest is not None:
        return
    closing_rows.finish_close(connection, counted)
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="ledger.closed",
        subject=counted.period,
        details={"transactions": counted.transactions, "digest": counted.digest},
    )
