"""Who looks at a page: a person with a session, or a person or program with a bearer token."""

from dataclasses import dataclass

from sqlalchemy import Connection

from console.web.session import Session, Sessions
from payouts.people import ROLE_SCOPES, Actor, Role, Scope
from payouts.storage.people_rows import person_of, token_by_digest, token_of
from payouts.tokens import Token, TokenError, admit, digest_of

BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever asks for a page. `actor.require` is the one check of what they may do."""

    actor: Actor
    role: Role | None
    """None: a program."""
    session: Session | None
    """None: a token came with the request itself."""
    token: Token | None = None
    """The token that the request or the session stands on."""

    def may(self, scope: Scope | str) -> bool:
        """Whether the actor has `scope`."""
        return scope in self.actor.scopes

    @property
    def in_session(self) -> Session:
        if self.session is None:
            raise LookupError("asked for by a token, without a session")
        return self.session


def by_session(connection: Connection, sessions: Sessions, secret: str | None, at_ms: int) -> Visitor | None:
    """The visitor with this cookie; None where the session is over, or its person or token may not act."""
    session = sessions.find(secret) if secret else None
    if session is None:
        return None
    person = person_of(connection, session.person_id)
    if person is None or not person.active:
        sessions.end(session)
        return None
    if session.token_id is None:
        actor = Actor(person.name, person.id, None, frozenset(ROLE_SCOPES[person.role]))
        return Visitor(actor, person.role, session)
    token = token_of(connection, session.token_id)
    try:
        actor, _ = admit(token.digest if token else "", token, person, at_ms)
    except TokenError:
        sessions.end(session)
        return None
    return Visitor(actor, person.role, session, token)


def by_bearer(connection: Connection, header: str, at_ms: int) -> Visitor:
    """The visitor with this Authorization header. TokenError where it lets nobody in."""
    if not header.startswith(BEARER):
        raise TokenError("token_unknown", "the Authorization header takes `Bearer pt_…`")
    digest = digest_of(header.removeprefix(BEARER).strip())
    token = token_by_digest(connection, digest)
    person = person_of(connection, token.person_id) if token and token.person_id is not None else None
    actor, token = admit(digest, token, person, at_ms)
    return Visitor(actor, person.role if person else None, None, token)
