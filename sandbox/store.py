"""What a restart needs, in one SQLite file: a row for each object, the newest content of each."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

_TABLE = """
CREATE TABLE IF NOT EXISTS kept (
    place INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (kind, key)
)"""
_PUT = """
INSERT INTO kept (kind, key, owner, body) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"""
_REMOVE = "DELETE FROM kept WHERE kind = ? AND key = ?"


class Changes:
    """What changed since the last write. Without a file to write to, nothing is noted."""

    def __init__(self, store: "Store | None" = None) -> None:
        self._store = store
        self._changed: dict[tuple[str, str], tuple[str, Any] | None] = {}

    def put(self, kind: str, key: str, owner: str, body: Any) -> None:
        if self._store is not None:
            self._changed[kind, key] = (owner, body)

    def remove(self, kind: str, key: str) -> None:
        if self._store is not None:
            self._changed[kind, key] = None

    def write(self) -> None:
        """Write all changes in one transaction, each object as it is now."""
        if self._store is not None and self._changed:
            self._store.write(self._changed)
            self._changed = {}


class Store:
    """Survives the end of the process, not that of the machine: it does not wait for the disk."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute(_TABLE)

    def write(self, changed: dict[tuple[str, str], tuple[str, Any] | None]) -> None:
        encode = msgspec.json.encode
        puts = [(*key, value[0], encode(value[1])) for key, value in changed.items() if value is not None]
        removed = [key for key, value in changed.items() if value is None]
        self._connection.execute("BEGIN")
        self._connection.executemany(_PUT, puts)
        self._connection.executemany(_REMOVE, removed)
        self._connection.execute("COMMIT")

    def read(self, kind: str) -> Iterator[tuple[str, str, Any]]:
        """(key, owner, body) of each object of that kind, in the order in which they were made."""
        rows = self._connection.execute(
            "SELECT key, owner, body FROM kept WHERE kind = ? ORDER BY place", (kind,)
        )
        for key, owner, body in rows:
            yield key, owner, msgspec.json.decode(body)

    def close(self) -> None:
        self._connection.close()
