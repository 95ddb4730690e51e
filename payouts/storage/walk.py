"""Walking a table of any size: ranges of ids, each with so many rows, and no transaction held in between."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, func, select

PAGE = 1_000
_LAST = 2**63 - 1


def ranges(connection: Connection, key: Column[int], size: int = PAGE) -> Iterator[tuple[int, int]]:
    """Ranges (after, up to) of `key`, the primary key of its table, that together cover every number.

    The transaction ends after each one.
    """
    after = -1
    while True:
        page = select(key).where(key > after).order_by(key).limit(size).subquery()
        count, upto = connection.execute(select(func.count(), func.max(page.c[0]))).one()
        yield after, (int(upto) if count == size else _LAST)
        connection.rollback()
        if count < size:
            return
        after = int(upto)


def within(column: Column[Any], bounds: tuple[int, int]) -> ColumnElement[bool]:
    """That `column` lies in a range of `ranges`."""
    after, upto = bounds
    return and_(column > after, column <= upto)
