"""The tables of who acts: people, tokens and identities, the audit log, and the portal's idempotency keys."""

from sqlalchemy import BigInteger, Boolean, Column, Index, SmallInteger, String, Table, UniqueConstraint

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

people = Table(
    "people",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("name", String(ACTOR_CHARS), nullable=False),
    Column("role", ascii_text(16), nullable=False, comment="viewer, operator, approver or admin"),
    Column("active", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("name"),
    **OPTIONS,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("name", String(ACTOR_CHARS), nullable=False, comment="what the token is for"),
    Column("person_id", BigInteger, comment="NULL: a program's own token, as the portal's"),
    Column("digest", ascii_text(64), nullable=False, comment="SHA-256 of the token, in hex"),
    Column("scopes", ascii_text(255), nullable=False, comment="separated by spaces"),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("created_by", String(ACTOR_CHARS), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
    Column("last_used_at_ms", BigInteger),
    UniqueConstraint("digest"),
    Index(None, "person_id", "id"),
    **OPTIONS,
)

identities = Table(
    "identities",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("person_id", BigInteger, nullable=False),
    Column("issuer", ascii_text(ID_CHARS), nullable=False),
    Column("subject", ascii_text(ID_CHARS), nullable=False, comment="the provider's own id of the person"),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("issuer", "subject"),
    Index(None, "person_id", "id"),
    comment="who a person is to an identity provider: never their e-mail, which can become another's",
    **OPTIONS,
)

audit_chains = Table(
    "audit_chains",
    metadata,
    Column("chain", ascii_text(96), primary_key=True, comment="account and month, as acct_…/2026-11"),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("number", BigInteger, nullable=False, comment="of its last entry"),
    Column("digest", ascii_text(64), nullable=False, comment="of its last entry"),
    comment="the end of each chain, locked while an entry is added",
    **OPTIONS,
)

audit = Table(
    "audit",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("chain", ascii_text(96), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(ACTOR_CHARS), nullable=False),
    Column("action", ascii_text(64), nullable=False),
    Column("subject", String(ID_CHARS), nullable=False),
    Column("reason", String(255)),
    Column("details", long_text(), nullable=False, comment="JSON with sorted keys"),
    Column("previous", ascii_text(64), nullable=False, comment="the digest of the entry before"),
    Column("digest", ascii_text(64), nullable=False, comment="SHA-256 over this entry and `previous`"),
    UniqueConstraint("chain", "number"),
    Index(None, "subject", "id"),
    Index(None, "actor", "id"),
    Index(None, "account", "id"),
    Index(None, "action", "id"),
    Index(None, "chain", "id"),
    comment="append-only: what people and tokens did",
    **OPTIONS,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("account", ascii_text(ACCOUNT_CHARS), nullable=False),
    Column("token_id", BigInteger, nullable=False),
    Column("key", ascii_text(ID_CHARS), nullable=False),
    Column("digest", ascii_text(64), nullable=False, comment="of method, path and body"),
    Column("status", SmallInteger, nullable=False),
    Column("body", long_text(), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("token_id", "key"),
    Index(None, "created_at_ms"),
    comment="answers to the portal's requests, given again to a repeated one",
    **OPTIONS,
)
