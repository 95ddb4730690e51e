"""Lists paged by key: a query narrowed by filters, newest first."""

from typing import Any

from sqlalchemy import Connection, Select, Table, func, select

from payouts.storage.queries import Filters, by_index, narrowed


def page(
    connection: Connection, query: Select[Any], table: Table, filters: Filters, limit: int
) -> list[dict[str, Any]]:
    """At most `limit` rows of `query`, whose main table is `table`, that fit `filters`; newest first."""
    query = narrowed(query, table, filters)
    rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]


def window_floor(
    connection: Connection,
    table: Table,
    before_id: int | None,
    most: int,
    equal: tuple[str, str | int] | None = None,
) -> int | None:
    """The id down to which `most` rows of `table` before `before_id` reach; None where they reach its end.

    A list whose filter has no index looks no further than that for a page. `equal`: only the rows where this
    column, which has an index with the id, has this value.
    """
    newest = select(table.c.id).order_by(table.c.id.desc()).limit(most)
    if before_id is not None:
        newest = newest.where(table.c.id < before_id)
    if equal is not None:
        newest = by_index(newest.where(table.c[equal[0]] == equal[1]), table, equal[0], "id")
    some = newest.subquery()
    count, floor = connection.execute(select(func.count(), func.min(some.c.id))).one()
    return int(floor) if count == most else None
