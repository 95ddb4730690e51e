"""Lists paged by key: a query narrowed by filters, newest first."""

from typing import Any

from sqlalchemy import Connection, Select, Table

from payouts.storage.queries import Filters, narrowed


def page(
    connection: Connection, query: Select[Any], table: Table, filters: Filters, limit: int
) -> list[dict[str, Any]]:
    """At most `limit` rows of `query`, whose main table is `table`, that fit `filters`; newest first."""
    query = narrowed(query, table, filters)
    rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]
