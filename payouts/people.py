"""Who acts, and what they may do: scopes, the roles that bundle them, and the actor of one action."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from payouts.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something. `name` is what rows and the audit log carry.

    A person acts by a token, so both ids are set; a program's token has no person.
    """

    name: str
    person_id: int | None
    token_id: int | None
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raises RefusedError (`not_allowed`) where this actor may not do what `scope` covers."""
        if scope not in self.scopes:
            has = " ".join(sorted(self.scopes)) or "nothing"
            raise RefusedError(
                "not_allowed",
                f"{self.name} may not do this: it takes the scope {scope}, and this token has {has}",
            )


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    """Look at everything."""
    CREDIT = "credit"
    """Say what a partner is owed."""
    REQUEST = "request"
    """Ask for a payout."""
    OPERATE = "operate"
    """Hold, release, retry, cancel and replay."""
    APPROVE = "approve"
    """Be the second pair of eyes."""
    ADMIN = "admin"
    """People, tokens and limits."""


SCOPE_WORDS: dict[Scope, str] = {
    Scope.READ: "look at everything",
    Scope.CREDIT: "say what a partner has earned, or has to give back",
    Scope.REQUEST: "ask for a payout",
    Scope.OPERATE: "hold, release, retry, cancel, replay; maintenance, rate limits, blocked addresses",
    Scope.APPROVE: "approve or reject what another person asked for",
    Scope.ADMIN: "people, tokens, limits on payouts, closing a month, payloads unredacted",
}
"""What each scope lets one do, for those who read it."""


class Role(StrEnum):
    """What a person is here for."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


_OPERATING = frozenset({Scope.READ, Scope.CREDIT, Scope.REQUEST, Scope.OPERATE})
ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: _OPERATING,
    Role.APPROVER: frozenset({Scope.READ, Scope.APPROVE}),
    Role.ADMIN: frozenset(Scope),
}
PROGRAM_SCOPES = _OPERATING
"""What a program may be given: it is nobody's second pair of eyes, and appoints nobody."""

BOOTSTRAP = "bootstrap"
"""The actor of what is done before there is anybody: the first person and their token."""
SIGN_IN = "sign-in"
"""The actor of what a sign-in changes by itself, because the identity provider says so: a person, a role."""
RESERVED_NAMES = frozenset({BOOTSTRAP, SIGN_IN, "system"})
PROGRAM_PREFIX = "program:"
"""Before a program's name where it acts, so that no program passes for a person."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


def check_name(name: str) -> str:
    """`name`, which identifies a person or says what a token is for. RefusedError where it is unfit."""
    if not _NAME.fullmatch(name):
        raise RefusedError(
            "bad_name",
            f"{name!r} is no name: it takes 1 to 64 of a-z, 0-9 and . _ @ + -, and begins with one of "
            "the letters or digits",
        )
    if name in RESERVED_NAMES:
        raise RefusedError("bad_name", f"{name!r} is what the service calls itself: choose another name")
    return name


def parse_scopes(text: str, allowed: Iterable[str], who: str) -> frozenset[str]:
    """Scopes from words separated by spaces or commas. RefusedError for one that is not `allowed`."""
    wanted = frozenset(text.replace(",", " ").split())
    unknown = sorted(wanted - set(Scope))
    if unknown or not wanted:
        raise RefusedError("bad_scope", f"{text!r} names no scopes: they are {', '.join(Scope)}")
    refused = sorted(wanted - set(allowed))
    if refused:
        raise RefusedError(
            "bad_scope",
            f"{who} cannot be given {' '.join(refused)}, only {' '.join(sorted(allowed))}",
        )
    return wanted
