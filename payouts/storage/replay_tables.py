"""The tables of replays: what was asked for, and what came of each event."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, String, Table

from payouts.storage.columns import (
    ACCOUNT_CHARS,
    ACTOR_CHARS,
    ID_CHARS,
    OPTIONS,
    ROW_ID,
    ascii_text,
    long_text,
    metadata,
)

replays = Table(
    "replays",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("status", ascii_text(24), nullable=False),
    Column("selection", long_text(), nullable=False, comment="which events, as JSON"),
    Column("reason", String(255), nullable=False),
    Column("requested_by", String(ACTOR_CHARS), nullable=False),
    Column("requested_by_person", BigInteger),
    Column("version", ascii_text(32), nullable=False, comment="of the code it was asked for with"),
    Column("rate_per_s", Integer, nullable=False, comment="events a second at the most; 0: no limit"),
    Column("position", BigInteger, nullable=False, comment="the last inbox id that was selected"),
    Column("until_id", BigInteger, nullable=False, comment="later events are live ones"),
    Column("total", BigInteger, nullable=False),
    Column("applied", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False, comment="blocked, or tried again later"),
    Column("failed", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("confirmed_by", String(ACTOR_CHARS)),
    Column("confirmed_at_ms", BigInteger),
    Column("ended_by", String(ACTOR_CHARS), comment="who canceled it"),
    Column("ended_at_ms", BigInteger),
    Column("lease", ascii_text(24), comment="the worker that is at it"),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("trouble", String(255), comment="why it stands still"),
    Column("deaths", Integer, nullable=False, comment="workers that died over it"),
    Index(None, "status", "id"),
    **OPTIONS,
)

replay_items = Table(
    "replay_items",
    metadata,
    Column("replay_id", BigInteger, nullable=False),
    Column("inbox_id", BigInteger, nullable=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("event_id", ascii_text(ID_CHARS), nullable=False),
    Column("status_before", ascii_text(16), nullable=False),
    Column("outcome", ascii_text(16), nullable=False, comment="todo until it was its turn"),
    Column("detail", String(255)),
    Column("version", ascii_text(32), comment="of the code that ran"),
    Column("done_at_ms", BigInteger),
    # In the order of their ids: each event of a payout after those that came before it.
    PrimaryKeyConstraint("replay_id", "inbox_id"),
    Index(None, "replay_id", "outcome", "inbox_id"),
    Index(None, "inbox_id"),
    comment="the events of each replay",
    **OPTIONS,
)
