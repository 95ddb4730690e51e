"""What lists share: filters, pages by key, and a connection that only reads. And the list of payouts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Engine, Row, Select, Table, select

from payouts.storage.tables import payouts

PAGE = 500


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to: values by column, and the ids (thus times) between which rows lie."""

    equal: Mapping[str, str | int]
    since_id: int | None = None
    before_id: int | None = None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that takes no lock and writes nothing."""
    with engine.connect().execution_options(read_only=True) as connection:
        yield connection


def payout_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Payouts, newest first."""
    return [dict(row._mapping) for row in rows_of(connection, payouts, list(payouts.c), filters, limit)]


def rows_of(
    connection: Connection, table: Table, columns: Sequence[Column[Any]], filters: Filters, limit: int
) -> Sequence[Row[Any]]:
    """At most `limit` rows of `table` that fit `filters`, newest first, with these columns."""
    query = narrowed(select(*columns), table, filters)
    return connection.execute(query.order_by(table.c.id.desc()).limit(limit)).all()


def narrowed(query: Select[Any], table: Table, filters: Filters) -> Select[Any]:
    """`query`, whose main table is `table`, with what fits `filters` alone."""
    for name, value in filters.equal.items():
        query = query.where(table.c[name] == value)
    if filters.since_id is not None:
        query = query.where(table.c.id >= filters.since_id)
    if filters.before_id is not None:
        query = query.where(table.c.id < filters.before_id)
    # MariaDB would read the index on from its newest row where most rows have the value: seconds for
    # millions of rows. Told to use that index, it begins at `before_id` and ends at `since_id`.
    return by_index(query, table, *filters.equal, "id") if len(filters.equal) == 1 else query


def by_index(query: Select[Any], table: Table, *columns: str) -> Select[Any]:
    """`query`, told to read `table` by its index on just these columns; as it was where there is none."""
    for index in table.indexes:
        if [column.name for column in index.columns] == list(columns):
            for dialect in ("mariadb", "mysql"):
                query = query.with_hint(table, f"FORCE INDEX ({index.name})", dialect)
    return query
