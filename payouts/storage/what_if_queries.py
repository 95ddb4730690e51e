"""What a transaction wrote so far, read back by the ids that it drew for its rows."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Table, select

from payouts.request import public_id
from payouts.storage.ledger_queries import postings_of
from payouts.storage.money_tables import ledger_transactions, legs, request_transitions
from payouts.storage.tables import outbox, payout_transitions, payouts

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Move:
    """A change of state of a payout (`po_…`) or of a request (`pay_…`)."""

    subject: str
    from_status: str | None
    to_status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Posted:
    """A transaction of the ledger, with what it adds to each kind of ledger account in minor units."""

    kind: str
    currency: str
    by_kind: dict[str, int]


@dataclass(frozen=True, slots=True)
class Written:
    """Moves, postings and notices, each in the order it was written."""

    moves: Sequence[Move] = ()
    postings: Sequence[Posted] = ()
    notices: Sequence[str] = ()

    @property
    def is_nothing(self) -> bool:
        return not (self.moves or self.postings or self.notices)

    @classmethod
    def joined(cls, parts: Iterable["Written"]) -> "Written":
        """All of several, one after the other."""
        kept = list(parts)
        return cls(*([one for part in kept for one in getattr(part, f.name)] for f in fields(cls)))


def written_by(connection: Connection, ids: Sequence[int]) -> Written:
    """What rows with these ids say, as this transaction sees them."""
    moved = list(_rows(connection, payout_transitions, ids))
    held = _rows(connection, payouts, sorted({row.payout_id for row in moved}))
    names = {row.id: row.stripe_id for row in held}
    moves = [
        Move(names.get(row.payout_id) or str(row.payout_id), row.from_status, row.to_status, row.reason)
        for row in moved
    ]
    moves += [
        Move(public_id(row.request_id), row.from_status, row.to_status, row.reason)
        for row in _rows(connection, request_transitions, ids)
    ]
    notices = [row.name for row in _rows(connection, outbox, ids)]
    return Written(moves, list(_postings(connection, ids)), notices)


def requests_of(connection: Connection, object_ids: Collection[str]) -> dict[str, int]:
    """The requests that these objects of Stripe's belong to, by their ids."""
    wanted, found = sorted(object_ids), dict[str, int]()
    for table in (legs, payouts):
        c = table.c
        query = select(c.stripe_id, c.request_id).where(c.stripe_id.in_(wanted), c.request_id.is_not(None))
        found |= {row.stripe_id: row.request_id for row in connection.execute(query)}
    return found


def _postings(connection: Connection, ids: Sequence[int]) -> Iterator[Posted]:
    transactions = list(_rows(connection, ledger_transactions, ids))
    postings = postings_of(connection, [row.id for row in transactions])
    for row in transactions:
        mine = postings.get(row.id, [])
        by_kind: dict[str, int] = {}
        for posting in mine:
            by_kind[posting.kind] = by_kind.get(posting.kind, 0) + posting.amount_minor
        yield Posted(row.kind, mine[0].currency if mine else "", by_kind)


def _rows(connection: Connection, table: Table, ids: Sequence[int]) -> Iterator[Any]:
    for start in range(0, len(ids), _AT_ONCE):
        wanted = ids[start : start + _AT_ONCE]
        yield from connection.execute(select(table).where(table.c.id.in_(wanted)).order_by(table.c.id))
