"""The tables behind rate limits: blocks, limits that are raised, the addresses that are Stripe's."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from payouts.storage.columns import ACCOUNT_CHARS, ACTOR_CHARS, OPTIONS, ROW_ID, ascii_text, metadata

NETWORK_CHARS = 64

address_blocks = Table(
    "address_blocks",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("open_key", ascii_text(NETWORK_CHARS), comment="the network; NULL: lifted or over"),
    Column("network", ascii_text(NETWORK_CHARS), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("reason", String(255), nullable=False),
    Column("blocked_at_ms", BigInteger, nullable=False),
    Column("blocked_by", String(ACTOR_CHARS), nullable=False),
    Column("lifted_at_ms", BigInteger),
    Column("lifted_by", String(ACTOR_CHARS)),
    Column("lift_reason", String(255)),
    UniqueConstraint("open_key"),
    comment="addresses and networks that are not answered",
    **OPTIONS,
)

rate_raises = Table(
    "rate_raises",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("open_key", ascii_text(32), comment="the route group; NULL: lowered or over"),
    Column("route_group", ascii_text(32), nullable=False),
    Column("most", Integer, nullable=False, comment="requests a minute"),
    Column("until_ms", BigInteger, nullable=False),
    Column("reason", String(255), nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Column("raised_by", String(ACTOR_CHARS), nullable=False),
    Column("lowered_at_ms", BigInteger),
    Column("lowered_by", String(ACTOR_CHARS)),
    Column("lower_reason", String(255)),
    UniqueConstraint("open_key"),
    comment="rate limits that allow more for a while",
    **OPTIONS,
)

published_addresses = Table(
    "published_addresses",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("addresses", Text, nullable=False, comment="separated by commas"),
    Column("read_at_ms", BigInteger, nullable=False),
    Index(None, "account", "id"),
    comment="the addresses that Stripe sends from, as it published them; the newest row counts",
    **OPTIONS,
)
