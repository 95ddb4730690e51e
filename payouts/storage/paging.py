"""Lists paged by key: a query narrowed by filters, newest first."""

from typing import Any

from sqlalchemy import Connection, Select, Table

from payouts.storage.queries import Filters


def page(
    connection: Connection, query: Select[Any], table: Table, filters: Filters, limit: int
) -> list[dict[str, Any]]:
    """At most `limit` rows of `query`, whose main table is `table`, that fit `filters`; newest first."""
    for name, value in filters.equal.items():
        query = query.where(table.c[name] == value)
    if filters.since_id is not None:
        query = query.where(table.c.id >= filters.since_id)
    if filters.before_id is not None:
        query = query.where(table.c.id < filters.before_id)
    rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]
