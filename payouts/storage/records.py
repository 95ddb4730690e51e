"""Rows as frozen dataclasses: read under lock, inserted and written back in sets."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table, select

from payouts.storage.bulk import insert_rows, update_rows

T = TypeVar("T")

FEW = 50
"""A table of settings with no more rows is read whole: that is cheaper than to ask for some of them."""


class Records(Generic[T]):
    """Between a table and a dataclass whose fields are its columns.

    `fixed`: columns that are written once. `reads`: what turns a stored value into the field's type.
    """

    def __init__(
        self, table: Table, record: type[T], fixed: Collection[str], reads: Mapping[str, Callable[[str], Any]]
    ) -> None:
        self.table = table
        self.columns = tuple(f.name for f in dataclasses.fields(record))  # type: ignore[arg-type]
        self._record = record
        self._changing = tuple(name for name in self.columns if name not in fixed)
        self._reads = [(self.columns.index(name), read) for name, read in reads.items()]
        self._values = attrgetter(*self.columns)

    def insert(self, connection: Connection, new: Sequence[T]) -> None:
        """Insert `new`. IntegrityError where a key is taken; then nothing of the call stays."""
        insert_rows(connection, self.table, self.columns, [self._values(record) for record in new])

    def save(self, connection: Connection, changed: Sequence[T]) -> None:
        """Write back records that this transaction has locked."""
        rows = [self._values(record) for record in changed]
        update_rows(connection, self.table, self.columns, rows, changing=self._changing)

    def lock(self, connection: Connection, column: Column[Any], values: Iterable[Any]) -> list[T]:
        """The records whose `column` is among `values`, locked in the order of their ids."""
        wanted = sorted(set(values))
        if not wanted:
            return []
        return self.all(connection, self.query(column.in_(wanted)).with_for_update())

    def find(self, connection: Connection, *conditions: ColumnElement[bool]) -> list[T]:
        """The records that fulfil `conditions`, in the order of their ids, read without a lock."""
        return self.all(connection, self.query(*conditions))

    def query(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """A query for such records in the order of their ids."""
        return (
            select(*(self.table.c[name] for name in self.columns))
            .where(*conditions)
            .order_by(self.table.c.id)
        )

    def all(self, connection: Connection, query: Select[Any]) -> list[T]:
        """The records that a query of `query` gives."""
        return [self._read(row) for row in connection.execute(query)]

    def _read(self, row: Row[Any]) -> T:
        values = list(row)
        for index, read in self._reads:
            if values[index] is not None:
                values[index] = read(values[index])
        return self._record(*values)
