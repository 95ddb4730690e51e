"""Blocks, raised rate limits and Stripe's addresses as rows."""

from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from payouts.addresses import Network, Networks, network_text, parse_networks
from payouts.blocks import Block, Decided, Raise
from payouts.errors import RowIdTakenError
from payouts.rates import RouteGroup
from payouts.storage.columns import PLATFORM
from payouts.storage.guard_tables import address_blocks, published_addresses, rate_raises
from payouts.storage.people_tables import tokens
from payouts.storage.queries import reading
from payouts.storage.records import Records

BLOCKS = Records(
    address_blocks,
    Block,
    fixed={"id", "account", "network", "blocked_at_ms", "blocked_by"},
    reads={},
)
RAISES = Records(
    rate_raises,
    Raise,
    fixed={"id", "account", "route_group", "raised_at_ms", "raised_by"},
    reads={"route_group": RouteGroup},
)


def decided(engine: Engine, now_ms: int) -> Decided:
    """What counts now."""
    with reading(engine) as connection:
        return read_decided(connection, now_ms)


def read_decided(connection: Connection, now_ms: int) -> Decided:
    """As `decided`, on a connection: blocks and raises oldest first."""
    b, r = address_blocks.c, rate_raises.c
    blocks = BLOCKS.find(connection, b.open_key.is_not(None), b.until_ms > now_ms)
    raises = RAISES.find(connection, r.open_key.is_not(None), r.until_ms > now_ms)
    published = newest_addresses(connection)
    return Decided.of(blocks, raises, published[0] if published else None)


def lock_block(connection: Connection, network: Network) -> Block | None:
    """The block of exactly this network that was not lifted, locked."""
    return next(iter(BLOCKS.lock(connection, address_blocks.c.open_key, [network_text(network)])), None)


def lock_raise(connection: Connection, group: RouteGroup) -> Raise | None:
    """The raise of a route group that was not lowered again, locked."""
    return next(iter(RAISES.lock(connection, rate_raises.c.open_key, [str(group)])), None)


def insert_block(connection: Connection, block: Block) -> None:
    """Insert one. RowIdTakenError where somebody else blocked the same at the same time."""
    try:
        BLOCKS.insert(connection, [block])
    except IntegrityError:
        raise RowIdTakenError("somebody blocked the same at the same time") from None


def insert_raise(connection: Connection, raised: Raise) -> None:
    """Insert one. RowIdTakenError where somebody else raised the same at the same time."""
    try:
        RAISES.insert(connection, [raised])
    except IntegrityError:
        raise RowIdTakenError("somebody raised the same limit at the same time") from None


def close_over(connection: Connection, now_ms: int) -> int:
    """Close blocks and raises whose end has come; they count no more already. Returns how many."""
    closed = 0
    for table in (address_blocks, rate_raises):
        over = [table.c.open_key.is_not(None), table.c.until_ms <= now_ms]
        closed += connection.execute(update(table).where(*over).values(open_key=None)).rowcount
    return closed


def newest_addresses(connection: Connection) -> tuple[Networks, int] | None:
    """The addresses that Stripe published, and when they were read, in ms; None: they never were."""
    p = published_addresses.c
    query = select(p.addresses, p.read_at_ms).where(p.account == PLATFORM).order_by(p.id.desc()).limit(1)
    found = connection.execute(query).first()
    return None if found is None else (parse_networks(found.addresses), found.read_at_ms)


def keep_addresses(connection: Connection, row_id: int, found: Networks, read_at_ms: int) -> None:
    """Keep what Stripe published, in place of what was known."""
    p = published_addresses.c
    addresses = ",".join(network_text(each) for each in found)
    values = {"id": row_id, "account": PLATFORM, "addresses": addresses, "read_at_ms": read_at_ms}
    connection.execute(insert(published_addresses).values(**values))
    connection.execute(delete(published_addresses).where(p.account == PLATFORM, p.id < row_id))


def block_list(connection: Connection, now_ms: int, limit: int) -> list[dict[str, Any]]:
    """The blocks that count now, newest first."""
    b = address_blocks.c
    query = select(*b).where(b.open_key.is_not(None), b.until_ms > now_ms).order_by(b.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def block_count(connection: Connection, now_ms: int) -> int:
    """How many blocks count now."""
    b = address_blocks.c
    query = select(func.count()).where(b.open_key.is_not(None), b.until_ms > now_ms)
    return connection.execute(query).scalar_one()


def token_names(connection: Connection, ids: list[int]) -> dict[int, str]:
    """What tokens are for, by id."""
    if not ids:
        return {}
    query = select(tokens.c.id, tokens.c.name).where(tokens.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(query)}
