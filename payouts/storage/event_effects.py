"""What was written in the same step as the moves that an event caused: postings, and notices. Read-only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from payouts.storage.ledger_queries import journal
from payouts.storage.notice_queries import notice_list
from payouts.storage.queries import Filters
from payouts.storage.tables import payouts

ROWS_MOST = 500
"""Of a payout, newest first, that are looked through. One with trouble has dozens."""


@dataclass(frozen=True, slots=True)
class Effects:
    """`transactions` with their postings, and `notices` with their deliveries, both newest first."""

    transactions: Sequence[Mapping[str, Any]] = ()
    notices: Sequence[Mapping[str, Any]] = ()


def effects_of(connection: Connection, moves: Sequence[Mapping[str, Any]]) -> Effects:
    """What went with these moves of one payout.

    A batch writes a move, its postings and its notices under one time: by that they are found. Two events of
    one payout in one batch share theirs.
    """
    if not moves:
        return Effects()
    payout_id, times_ms = moves[0]["payout_id"], {move["at_ms"] for move in moves}
    request_id = connection.scalar(select(payouts.c.request_id).where(payouts.c.id == payout_id))
    of = Filters({"payout_id": payout_id} if request_id is None else {"request_id": request_id})
    posted, told = journal(connection, of, ROWS_MOST), notice_list(connection, of, ROWS_MOST)
    return Effects(
        [row for row in posted if row["posted_at_ms"] in times_ms],
        [row for row in told if row["created_at_ms"] in times_ms],
    )
