"""What was sent in each minute: in all (account `platform`) and to each partner's account."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select

from payouts.ids import IdMaker
from payouts.storage.bulk import add_to_rows
from payouts.storage.money_tables import outflow

_KEY = ("account", "minute", "currency", "worker")
_GROWING = ("amount_minor", "payouts")
_WORKER_CHARS = 64
_ROWS_AT_ONCE = 500


def minute_of(at_ms: int) -> int:
    """The minute that `at_ms` lies in, counted from the epoch."""
    return at_ms // 60_000


@dataclass(frozen=True, slots=True)
class Minute:
    """What went out in one minute from one account in one currency: minor units, and payouts. Less than
    nothing where it takes off what was counted in that minute and did not go out."""

    account: str
    minute: int
    currency: str
    amount_minor: int
    payouts: int


def add(connection: Connection, minutes: Sequence[Minute], worker: str, make_id: IdMaker) -> None:
    """Add to `worker`'s own rows; each account, minute and currency at most once."""
    # One order for everybody: two that write the same rows never wait in a circle.
    rows = [
        (make_id(), m.account, m.minute, m.currency, worker[-_WORKER_CHARS:], m.amount_minor, m.payouts)
        for m in sorted(minutes, key=lambda m: (m.account, m.minute, m.currency))
    ]
    columns = ("id", *_KEY, *_GROWING)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        add_to_rows(connection, outflow, columns, part, key=_KEY, growing=_GROWING)


def since(connection: Connection, accounts: Collection[str], first_minute: int) -> list[Minute]:
    """What went out from `first_minute` on, by account and currency, together under that minute."""
    query = _sums(outflow.c.account.in_(sorted(set(accounts))), outflow.c.minute >= first_minute)
    by = (outflow.c.account, outflow.c.currency)
    return [
        Minute(row.account, first_minute, row.currency, int(row.amount_minor), int(row.payouts))
        for row in connection.execute(query.add_columns(*by).group_by(*by))
    ]


def by_minute(
    connection: Connection, account: str, first_minute: int, currency: str | None = None
) -> list[Minute]:
    """What went out from one account in each minute from `first_minute` on, by currency."""
    query = _sums(outflow.c.account == account, outflow.c.minute >= first_minute)
    if currency is not None:
        query = query.where(outflow.c.currency == currency)
    by = (outflow.c.minute, outflow.c.currency)
    return [
        Minute(account, row.minute, row.currency, int(row.amount_minor), int(row.payouts))
        for row in connection.execute(query.add_columns(*by).group_by(*by))
    ]


def _sums(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*(func.sum(outflow.c[name]).label(name) for name in _GROWING)).where(*conditions)


def prune(connection: Connection, before_id: int, most: int) -> int:
    """Delete up to `most` rows made before `before_id`; returns how many there were."""
    ids = list(
        connection.scalars(
            select(outflow.c.id).where(outflow.c.id < before_id).order_by(outflow.c.id).limit(most)
        )
    )
    if ids:
        connection.execute(delete(outflow).where(outflow.c.id.in_(ids)))
    return len(ids)
