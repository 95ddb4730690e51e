"""Answers to the portal's requests, kept by token and key: a repeated request is answered alike."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.exc import DBAPIError

from payouts.errors import RefusedError, RowIdTakenError
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.engine import is_lock_wait
from payouts.storage.people_tables import idempotency_keys


@dataclass(frozen=True, slots=True)
class Key:
    """A caller's own name for one of its requests, and what the request was.

    `digest`: SHA-256, in hex, of what makes two requests the same.
    """

    token_id: int
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given the first time: its HTTP status and its JSON."""

    status: int
    body: str


def claim(connection: Connection, key: Key, row_id: int, now_ms: int) -> Kept | None:
    """Take `key` for this transaction, or return the answer that was kept under it before.

    Raises RefusedError `idempotency_key_reused` where it stands for another request, and
    `idempotency_key_in_use` where another transaction holds it and does not end soon.
    """
    columns = ("id", "account", "token_id", "key", "digest", "status", "body", "created_at_ms")
    row = (row_id, PLATFORM, key.token_id, key.key, key.digest, 0, "", now_ms)
    try:
        if insert_rows(connection, idempotency_keys, columns, [row], skip="key"):
            return None
    except DBAPIError as error:
        if is_lock_wait(error):
            raise in_use() from None
        raise
    return _kept(connection, key)


def in_use() -> RefusedError:
    """The refusal of a request whose key belongs to one that is being worked on."""
    return RefusedError(
        "idempotency_key_in_use",
        "a request with this Idempotency-Key is being worked on: send it again in a moment",
    )


def keep(connection: Connection, key: Key, kept: Kept) -> None:
    """Note the answer under a key that this transaction claimed: it stays only with the effect."""
    k = idempotency_keys.c
    connection.execute(
        update(idempotency_keys)
        .where(k.token_id == key.token_id, k["key"] == key.key)
        .values(status=kept.status, body=kept.body)
    )


def prune(connection: Connection, before_ms: int, most: int) -> int:
    """Delete up to `most` answers that were given before `before_ms`; returns how many there were."""
    k = idempotency_keys.c
    ids = list(
        connection.scalars(
            select(k.id).where(k.created_at_ms < before_ms).order_by(k.created_at_ms).limit(most)
        )
    )
    if ids:
        connection.execute(delete(idempotency_keys).where(k.id.in_(ids)))
    return len(ids)


def _kept(connection: Connection, key: Key) -> Kept | None:
    k = idempotency_keys.c
    found = connection.execute(
        select(k.digest, k.status, k.body).where(k.token_id == key.token_id, k["key"] == key.key)
    ).first()
    if found is None:
        raise RowIdTakenError("the row id of a new idempotency key is taken")
    if found.digest != key.digest:
        raise RefusedError(
            "idempotency_key_reused",
            "this Idempotency-Key came with another request before: a new request needs a new key",
        )
    return Kept(found.status, found.body)
