"""The tables of reconciling: what differs, how far each account is compared, and the rounds."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint

from payouts.storage.columns import ACCOUNT_CHARS, ID_CHARS, OPTIONS, ROW_ID, ascii_text, metadata

TEXT_CHARS = 1000
SIDE_CHARS = 255
KEY_CHARS = 300

differences = Table(
    "differences",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("kind", ascii_text(32), nullable=False),
    Column("subject", ascii_text(ID_CHARS), nullable=False),
    Column("currency", ascii_text(3)),
    Column("ours", String(SIDE_CHARS)),
    Column("theirs", String(SIDE_CHARS)),
    Column("text", String(TEXT_CHARS), nullable=False),
    Column("remedy", String(SIDE_CHARS), nullable=False),
    Column("first_seen_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("healed_at_ms", BigInteger),
    Column("healed_how", String(SIDE_CHARS)),
    Column("open_key", ascii_text(KEY_CHARS), comment="kind and subject while it lasts; NULL: healed"),
    UniqueConstraint("account", "open_key"),
    Index(None, "healed_at_ms", "id"),
    Index(None, "kind", "healed_at_ms", "id"),
    Index(None, "account", "id"),
    **OPTIONS,
)

reconcile_progress = Table(
    "reconcile_progress",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("stage", ascii_text(20), nullable=False),
    Column("position", ascii_text(ID_CHARS), comment="the last object that was compared in this stage"),
    Column("since_s", BigInteger, nullable=False, comment="by Stripe's clock: what was created from then on"),
    Column("until_s", BigInteger, nullable=False),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, comment="NULL: under way, or cut short"),
    Column("compared_until_s", BigInteger, nullable=False, comment="everything before was compared once"),
    Column("lease_until_ms", BigInteger, nullable=False, comment="somebody is at it until then"),
    UniqueConstraint("account"),
    comment="how far each account is compared",
    **OPTIONS,
)

reconcile_rounds = Table(
    "reconcile_rounds",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("open_key", ascii_text(8), comment="NULL: over"),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("moved_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("next_account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("partner_id", BigInteger, nullable=False, comment="the last partner done; 0: none, or all"),
    Column("reads", Integer, nullable=False, comment="answers asked of Stripe"),
    UniqueConstraint("account", "open_key"),
    comment="a round goes through the accounts until all are done or it has asked Stripe enough",
    **OPTIONS,
)

reconcile_seen = Table(
    "reconcile_seen",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("stripe_id", ascii_text(ID_CHARS), nullable=False),
    UniqueConstraint("account", "stripe_id"),
    comment="what Stripe listed while an account is compared; emptied when that is done",
    **OPTIONS,
)
