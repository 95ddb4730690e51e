"""The tables of catch-up and of its proofs: how far each account is walked, the walks, the proofs' chains."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, UniqueConstraint

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

ERROR_CHARS = 1000

catch_up_marks = Table(
    "catch_up_marks",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("walked_until_s", BigInteger, nullable=False, comment="the watermark, by Stripe's clock"),
    Column("walked_at_ms", BigInteger, nullable=False, comment="when a whole walk last began or ended"),
    Column(
        "failed_at_ms", BigInteger, nullable=False, comment="when what endpoints did not take was last walked"
    ),
    Column(
        "proved_until_s", BigInteger, nullable=False, comment="a midnight: daily proofs were begun so far"
    ),
    UniqueConstraint("account"),
    Index(None, "walked_at_ms"),
    Index(None, "failed_at_ms"),
    Index(None, "proved_until_s"),
    comment="how far the events of each account are walked",
    **OPTIONS,
)

catch_up_walks = Table(
    "catch_up_walks",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("open_key", ascii_text(16), comment="who goes on with it; NULL: over"),
    Column("cause", ascii_text(16), nullable=False),
    Column("actor", String(ACTOR_CHARS), nullable=False),
    Column("recipe", ascii_text(8), nullable=False),
    Column("all_types", Boolean, nullable=False),
    Column("since_s", BigInteger, nullable=False, comment="by Stripe's clock, both included"),
    Column("until_s", BigInteger, nullable=False),
    Column("cut", Boolean, nullable=False, comment="asked for older events than Stripe keeps"),
    Column("advances", Boolean, nullable=False, comment="its end moves the watermark"),
    Column("position", ascii_text(ID_CHARS), comment="the last event of the last page"),
    Column("reached_s", BigInteger, nullable=False, comment="walked back to here"),
    Column("listed", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("added", Integer, nullable=False),
    Column("unreadable", Integer, nullable=False),
    Column("reads", Integer, nullable=False, comment="pages asked of Stripe"),
    Column("tries", Integer, nullable=False, comment="pages without an answer, in a row"),
    Column("error", String(ERROR_CHARS)),
    Column("tally", long_text(), comment="of a proof: what was counted so far, as JSON"),
    Column("status", ascii_text(16), nullable=False),
    Column("due_at_ms", BigInteger, nullable=False, comment="when the scheduler sends it again"),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    UniqueConstraint("account", "open_key"),
    Index(None, "status", "due_at_ms"),
    Index(None, "account", "id"),
    comment="each walk through the events that Stripe lists of an account",
    **OPTIONS,
)

catch_up_watch = Table(
    "catch_up_watch",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("looked_at_ms", BigInteger, nullable=False, comment="when the scheduler last looked; 0: never"),
    Column("hurried_at_ms", BigInteger, nullable=False, comment="when a gap last made every account due"),
    Column("hour_s", BigInteger, nullable=False),
    Column("hour_reads", Integer, nullable=False, comment="pages asked of Stripe in that hour"),
    UniqueConstraint("account"),
    comment="one row: when it was last looked, and how much Stripe was asked",
    **OPTIONS,
)

proofs = Table(
    "proofs",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("number", Integer, nullable=False, comment="counts from 1 in each account"),
    Column("since_s", BigInteger, nullable=False, comment="by Stripe's clock, both included"),
    Column("until_s", BigInteger, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("actor", String(ACTOR_CHARS), nullable=False),
    Column("walk_id", BigInteger, nullable=False),
    Column("listed", Integer, nullable=False),
    Column("applied", Integer, nullable=False),
    Column("ignored", Integer, nullable=False),
    Column("open", Integer, nullable=False),
    Column("dead", Integer, nullable=False),
    Column("dismissed", Integer, nullable=False),
    Column("missing", Integer, nullable=False),
    Column("healed", Integer, nullable=False),
    Column("unlisted", Integer, nullable=False, comment="in the inbox, and not listed by Stripe"),
    Column("details", long_text(), nullable=False, comment="canonical JSON: reasons, ids, what was walked"),
    Column("previous", ascii_text(64), nullable=False),
    Column("digest", ascii_text(64), nullable=False),
    UniqueConstraint("account", "number"),
    Index(None, "account", "id"),
    comment="what Stripe lists of a period against the inbox; append-only, one chain an account",
    **OPTIONS,
)

proof_chains = Table(
    "proof_chains",
    metadata,
    Column("account", ascii_text(ACCOUNT_CHARS), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("digest", ascii_text(64), nullable=False),
    comment="the head of each account's chain of proofs",
    **OPTIONS,
)
