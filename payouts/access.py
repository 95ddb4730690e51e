"""Who is let in: adding and deactivating people, giving out and revoking tokens, each on the audit log.

Every function works inside the caller's transaction and raises RefusedError, with what to do, where
something speaks against it; the caller has checked that the actor has the scope `admin`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts.clock import iso
from payouts.errors import RefusedError, RowIdTakenError
from payouts.ids import IdMaker
from payouts.people import BOOTSTRAP, PROGRAM_SCOPES, ROLE_SCOPES, Role, check_name, parse_scopes
from payouts.storage import audit_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.people_rows import (
    PEOPLE,
    TOKENS,
    find_person,
    is_admin_at_hand,
    live_tokens,
    lock_active_admins,
    lock_person,
    lock_token,
)
from payouts.tokens import Person, Token, digest_of, expiry, new_token


@dataclass(frozen=True, slots=True)
class Given:
    """A token as it is handed over, this once: `secret` is kept nowhere."""

    token: Token
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One action on people or tokens: by whom, when, why, in whose transaction."""

    connection: Connection
    make_id: IdMaker
    at_ms: int
    actor: str
    reason: str | None = None

    def note(self, action: str, subject: str, details: Mapping[str, object]) -> None:
        """Append it to the audit log."""
        audit_rows.append(
            self.connection,
            self.make_id,
            self.at_ms,
            actor=self.actor,
            action=action,
            subject=subject,
            reason=self.reason,
            details=details,
        )


def add_person(step: Step, name: str, role: Role) -> Person:
    """Add somebody. A name is used once and for ever, so that the log's names stay clear."""
    person = Person(step.make_id(), PLATFORM, check_name(name), role, True, step.at_ms)
    if find_person(step.connection, name) is not None:
        raise _name_taken(name)
    try:
        PEOPLE.insert(step.connection, [person])
    except IntegrityError:
        if find_person(step.connection, name) is not None:
            raise _name_taken(name) from None
        raise RowIdTakenError(f"row id {person.id} for a person is taken") from None
    step.note("person.add", f"person:{name}", {"role": role})
    return person


def deactivate(step: Step, name: str) -> Person:
    """Let somebody in no more, and revoke their tokens. The last admin stays: nobody could undo it."""
    admins = lock_active_admins(step.connection)
    person = lock_person(step.connection, name)
    if not person.active:
        raise RefusedError("inactive", f"{name} was deactivated before")
    if [admin.id for admin in admins] == [person.id]:
        raise RefusedError(
            "last_admin", f"{name} is the last admin: add another with `payouts people add NAME --role admin`"
        )
    gone = replace(person, active=False)
    PEOPLE.save(step.connection, [gone])
    open_tokens = live_tokens(step.connection, person.id)
    TOKENS.save(step.connection, [replace(token, revoked_at_ms=step.at_ms) for token in open_tokens])
    step.note("person.deactivate", f"person:{name}", {"tokens_revoked": [str(t.id) for t in open_tokens]})
    return gone


def give_person_token(step: Step, person: Person, name: str, scopes: str | None, days: int) -> Given:
    """A token for `person`, called `name`; without `scopes` for all that the person's role allows."""
    if not person.active:
        raise RefusedError("inactive", f"{person.name} was deactivated and gets no tokens")
    allowed = ROLE_SCOPES[person.role]
    wanted = allowed if scopes is None else parse_scopes(scopes, allowed, f"{person.name} ({person.role})")
    return _give(step, name, person, wanted, days)


def give_program_token(step: Step, name: str, scopes: str, days: int) -> Given:
    """A token for the program called `name`, as the portal."""
    return _give(step, name, None, parse_scopes(scopes, PROGRAM_SCOPES, "a program"), days)


def revoke_token(step: Step, token_id: int) -> Token:
    """End a token now."""
    token = lock_token(step.connection, token_id)
    if token.revoked_at_ms is not None:
        raise RefusedError(
            "token_revoked", f"the token {token_id} was revoked before, on {iso(token.revoked_at_ms)}"
        )
    revoked = replace(token, revoked_at_ms=step.at_ms)
    TOKENS.save(step.connection, [revoked])
    step.note("token.revoke", f"token:{token_id}", {"name": token.name})
    return revoked


def bootstrap(step: Step, name: str, days: int) -> Given:
    """The first admin and their token, or a new token for an admin where no admin has one that works.

    Whoever calls has no token, only the database's address, with which they could write anything: the
    audit log says that it happened, under the name `bootstrap`.
    """
    step = replace(step, actor=BOOTSTRAP)
    # Appended first: it locks the chain, so of two that come at once the second sees the first's admin.
    step.note("bootstrap", f"person:{check_name(name)}", {"role": Role.ADMIN})
    if is_admin_at_hand(step.connection, step.at_ms):
        raise RefusedError(
            "not_signed_in",
            "there is an admin with a token already: set PAYOUTS_TOKEN to an admin's token to add people",
        )
    person = find_person(step.connection, name)
    if person is None:
        person = add_person(step, name, Role.ADMIN)
    elif person.role != Role.ADMIN:
        raise _name_taken(name)
    return give_person_token(step, person, "first", None, days)


def _give(step: Step, name: str, person: Person | None, scopes: Iterable[str], days: int) -> Given:
    secret = new_token()
    token = Token(
        id=step.make_id(),
        account=PLATFORM,
        name=check_name(name),
        person_id=None if person is None else person.id,
        digest=digest_of(secret),
        scopes=" ".join(sorted(scopes)),
        created_at_ms=step.at_ms,
        created_by=step.actor,
        expires_at_ms=expiry(days, step.at_ms),
    )
    try:
        TOKENS.insert(step.connection, [token])
    except IntegrityError:
        raise RowIdTakenError(f"row id {token.id} for a token is taken") from None
    details = {
        "name": name,
        "person": None if person is None else person.name,
        "scopes": token.scopes,
        "expires_at_ms": token.expires_at_ms,
    }
    step.note("token.create", f"token:{token.id}", details)
    return Given(token, secret)


def _name_taken(name: str) -> RefusedError:
    return RefusedError("name_taken", f"there is somebody called {name} already; names are never used again")
