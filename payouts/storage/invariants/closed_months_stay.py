"""A closed month has the sums that it was closed with, and its digest fits them and the month before."""

from collections.abc import Iterator

from sqlalchemy import Connection

from payouts.storage.closing_rows import START, closes, sums_between
from payouts.storage.invariants import Invariant, Violation


def _find(connection: Connection) -> Iterator[Violation]:
    previous = START
    for close in closes(connection):
        if close.digest is None:
            return  # closed, not counted yet: `payouts ledger close` finishes it
        if close.digest != close.seal() or close.previous != previous:
            yield Violation(close.period, "its digest does not fit its sums, or the month before")
        found = sums_between(connection, close.from_ms, close.until_ms)
        if found != (close.transactions, close.sums):
            yield Violation(
                close.period,
                f"was closed with {close.transactions} transactions and {close.sums}, has {found}",
            )
        previous = close.digest


INVARIANT = Invariant(
    promise="a closed month keeps the sums that it was closed with",
    remedy="postings of the month were added, changed or removed by hand: restore them from a backup or from "
    "the database's log",
    find=_find,
)
