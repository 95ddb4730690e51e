"""Payloads as the inbox has them: read in steps of bounded bytes, and replaced where nobody else did."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from payouts.storage.tables import inbox


def sizes_after(connection: Connection, inbox_id: int, limit: int) -> list[tuple[int, int]]:
    """Rows from behind `inbox_id` on, as (inbox id, bytes stored)."""
    query = select(inbox.c.id, func.length(inbox.c.payload)).where(inbox.c.id > inbox_id)
    return [(row[0], row[1]) for row in connection.execute(query.order_by(inbox.c.id).limit(limit))]


def lock_payloads(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """What is stored for these rows, which are locked in the order of their ids."""
    query = select(inbox.c.id, inbox.c.payload).where(inbox.c.id.in_(ids)).order_by(inbox.c.id)
    return {row[0]: row[1] for row in connection.execute(query.with_for_update())}


def read_payloads(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """The same without a lock."""
    query = select(inbox.c.id, inbox.c.payload).where(inbox.c.id.in_(ids)).order_by(inbox.c.id)
    return {row[0]: row[1] for row in connection.execute(query)}


def replace_payloads(connection: Connection, payloads: dict[int, bytes]) -> None:
    """Store other bytes for rows that this transaction has locked."""
    for inbox_id in sorted(payloads):
        connection.execute(update(inbox).where(inbox.c.id == inbox_id).values(payload=payloads[inbox_id]))


def last_row(connection: Connection) -> int:
    """The largest row id of the inbox; 0: it is empty."""
    return int(connection.scalar(select(func.max(inbox.c.id))) or 0)


def first_row(connection: Connection, after_id: int) -> int:
    """The smallest row id behind `after_id`; `after_id` where there is none."""
    return int(connection.scalar(select(func.min(inbox.c.id)).where(inbox.c.id > after_id)) or after_id)
