"""Tokens: how one is made, what is kept of it, and whom it lets in."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from payouts.clock import iso
from payouts.errors import RefusedError
from payouts.people import PROGRAM_PREFIX, ROLE_SCOPES, Actor, Role

PREFIX = "pt_"
SECRET_BYTES = 32
DEFAULT_DAYS = 90
MAX_DAYS = 365
DAY_MS = 86_400_000
USE_NOTED_EVERY_MS = 60_000
"""How often the use of a token is written down: not with each request."""

_FORM = re.compile(r"pt_[A-Za-z0-9_-]{43}")


class TokenError(RefusedError):
    """Whoever calls is not let in: the token is unknown, expired or revoked, or its person is inactive."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token; the token itself is nowhere. `person_id` None: a program's own."""

    id: int
    account: str
    name: str
    person_id: int | None
    digest: str = field(repr=False)
    scopes: str
    created_at_ms: int
    created_by: str
    expires_at_ms: int
    revoked_at_ms: int | None = None
    last_used_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may act, or who once did: nobody is ever removed, so that a name means one person."""

    id: int
    account: str
    name: str
    role: Role
    active: bool
    created_at_ms: int


def new_token() -> str:
    """A token with 256 random bits. It is shown once and kept only as its digest."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def digest_of(token: str) -> str:
    """What is kept of `token`: its SHA-256 in hex. Enough for a secret that is random to begin with.

    Raises TokenError for what no token looks like; the message does not repeat it.
    """
    if not _FORM.fullmatch(token):
        raise TokenError(
            "token_unknown",
            f"this is no token: one is {PREFIX} and 43 characters, as `payouts token create` printed it",
        )
    return hashlib.sha256(token.encode()).hexdigest()


def expiry(days: int, at_ms: int) -> int:
    """When a token made at `at_ms` ends, in ms. RefusedError outside of 1 to 365 days."""
    if not 1 <= days <= MAX_DAYS:
        raise RefusedError("bad_expiry", f"a token is good for 1 to {MAX_DAYS} days, not {days}")
    return at_ms + days * DAY_MS


def admit(digest: str, found: Token | None, person: Person | None, at_ms: int) -> tuple[Actor, Token]:
    """Whom the token with `digest` stands for, and what is kept of it. TokenError where for nobody.

    A person may do what both the token and the person's role allow.
    """
    if found is None or not hmac.compare_digest(found.digest, digest):
        raise TokenError(
            "token_unknown",
            "this token is not known here: it may be for another installation; "
            "an admin makes one with `payouts token create`",
        )
    again = "an admin makes a new one with `payouts token create`"
    if found.revoked_at_ms is not None:
        raise TokenError(
            "token_revoked", f"the token {found.name} was revoked on {iso(found.revoked_at_ms)}: {again}"
        )
    if found.expires_at_ms <= at_ms:
        raise TokenError(
            "token_expired", f"the token {found.name} expired on {iso(found.expires_at_ms)}: {again}"
        )
    scopes = frozenset(found.scopes.split())
    if found.person_id is None:
        return Actor(PROGRAM_PREFIX + found.name, None, found.id, scopes), found
    if person is None or not person.active:
        who = "whose person is not there" if person is None else f"of {person.name}, who was deactivated"
        raise TokenError("person_inactive", f"this is a token {who}: use one of an active person")
    return Actor(person.name, person.id, found.id, scopes & ROLE_SCOPES[person.role]), found


def use_is_worth_noting(found: Token, at_ms: int) -> bool:
    """Whether the last noted use of the token lies a minute back."""
    return found.last_used_at_ms is None or at_ms - found.last_used_at_ms >= USE_NOTED_EVERY_MS
