"""What was sent in each minute: in all (account `platform`) and to each partner's account."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, delete, func, select
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from payouts.ids import IdMaker
from payouts.storage.money_tables import outflow

_KEY = ("account", "minute", "currency", "worker")
_WORKER_CHARS = 64


def minute_of(at_ms: int) -> int:
    """The minute that `at_ms` lies in, counted from the epoch."""
    return at_ms // 60_000


@dataclass(frozen=True, slots=True)
class Sums:
    """What went out: minor units, and payouts."""

    amount_minor: int = 0
    payouts: int = 0


def add(
    connection: Connection,
    sums: Mapping[tuple[str, str], Sums],
    minute: int,
    worker: str,
    make_id: IdMaker,
) -> None:
    """Add to `worker`'s own rows for `minute`; `sums` by account and currency."""
    rows = [
        {
            **dict(zip(_KEY, (account, minute, currency, worker[-_WORKER_CHARS:]), strict=True)),
            "id": make_id(),
            "amount_minor": sum_.amount_minor,
            "payouts": sum_.payouts,
        }
        # One order for everybody: two that write the same rows never wait in a circle.
        for (account, currency), sum_ in sorted(sums.items())
    ]
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        lite = sqlite_insert(outflow)
        grown = {name: outflow.c[name] + lite.excluded[name] for name in ("amount_minor", "payouts")}
        connection.execute(lite.on_conflict_do_update(index_elements=_KEY, set_=grown), rows)
        return
    statement = mysql_insert(outflow).values(rows)
    # A row of the same id, but with another key, is somebody else's: it stays as it is.
    mine = and_(*(outflow.c[name] == statement.inserted[name] for name in _KEY))
    connection.execute(
        statement.on_duplicate_key_update(
            {
                name: outflow.c[name] + case((mine, statement.inserted[name]), else_=0)
                for name in ("amount_minor", "payouts")
            }
        )
    )


def since(
    connection: Connection, accounts: Collection[str], first_minute: int
) -> dict[tuple[str, str], Sums]:
    """What went out from `first_minute` on, by account and currency."""
    rows = connection.execute(
        select(
            outflow.c.account,
            outflow.c.currency,
            func.sum(outflow.c.amount_minor).label("amount_minor"),
            func.sum(outflow.c.payouts).label("payouts"),
        )
        .where(outflow.c.account.in_(sorted(set(accounts))), outflow.c.minute >= first_minute)
        .group_by(outflow.c.account, outflow.c.currency)
    )
    return {(row.account, row.currency): Sums(int(row.amount_minor), int(row.payouts)) for row in rows}


def by_minute(
    connection: Connection, account: str, first_minute: int, currency: str | None = None
) -> Sequence[tuple[int, str, Sums]]:
    """What went out of one account in each minute from `first_minute` on, by currency."""
    query = (
        select(
            outflow.c.minute,
            outflow.c.currency,
            func.sum(outflow.c.amount_minor).label("amount_minor"),
            func.sum(outflow.c.payouts).label("payouts"),
        )
        .where(outflow.c.account == account, outflow.c.minute >= first_minute)
        .group_by(outflow.c.minute, outflow.c.currency)
        .order_by(outflow.c.minute)
    )
    if currency is not None:
        query = query.where(outflow.c.currency == currency)
    return [
        (row.minute, row.currency, Sums(int(row.amount_minor), int(row.payouts)))
        for row in connection.execute(query)
    ]


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
