"""People and tokens: who may act, with which role, and by which tokens."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from console.web.call import Call
from console.web.counted import counted
from console.web.listing import listed
from console.web.verb import Field, Verb
from payouts import access
from payouts.access import Given, Step
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.people import PROGRAM_SCOPES, ROLE_SCOPES, SCOPE_WORDS, Actor, Role, Scope
from payouts.storage.people_rows import find_person, lock_person, lock_token, people_list, token_list
from payouts.tokens import DEFAULT_DAYS, MAX_DAYS, Person

DAYS = Field("days", f"Good for so many days, at most {MAX_DAYS}", "number", str(DEFAULT_DAYS))


def people(call: Call) -> Response:
    """Everybody, newest first."""
    page = listed(call, people_list, {"role": "role"})
    context: dict[str, Any] = {"page": page, "roles": list(Role), "add": _add(), "scopes": ROLE_SCOPES}
    context["scope_words"] = SCOPE_WORDS
    return call.page("people.html", title="People", data=list(page.rows), **context)


def person(call: Call) -> Response:
    """One of them, with what can be done about them."""
    found = _person(call)
    data = {
        "name": found.name,
        "role": found.role,
        "active": found.active,
        "added_at_ms": found.created_at_ms,
    }
    verbs = [_give(found), _deactivate(found), _sign_out(found)] if found.active else []
    return call.page("person.html", title=found.name, data=data, person=found, verbs=verbs)


def tokens(call: Call) -> Response:
    """Tokens of people and programs, newest first: whose, for what and until when, never the token itself."""
    page = listed(call, token_list, {})
    context: dict[str, Any] = {"page": page, "give": _give_program(), "revoke": _revoke}
    return call.page("tokens.html", title="Tokens", data=list(page.rows), **context)


def add(call: Call) -> Response:
    """Add somebody, and show their first token."""
    name, role = call.form.get("name", "").strip(), _role(call.form.get("role", ""))
    days = _days(call)

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Given:
        step = Step(connection, make_id, at_ms, actor.name, call.reason or None)
        return access.give_person_token(step, access.add_person(step, name, role), "first", None, days)

    return _handed_over(call, call.do(work), f"{name} ({role})")


def give(call: Call) -> Response:
    """A token for a person."""
    name, days = _person(call).name, _days(call)

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Given:
        step = Step(connection, make_id, at_ms, actor.name, call.reason or None)
        whose = lock_person(connection, name)
        return access.give_person_token(step, whose, call.form.get("name", ""), _scopes(call), days)

    return _handed_over(call, call.do(work), name)


def give_program(call: Call) -> Response:
    """A token for a program."""
    name, days, scopes = call.form.get("name", ""), _days(call), _scopes(call)

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Given:
        step = Step(connection, make_id, at_ms, actor.name, call.reason or None)
        return access.give_program_token(step, name, scopes or "", days)

    return _handed_over(call, call.do(work), f"the program {name}")


def revoke(call: Call) -> Response:
    """End a token now."""
    token_id = _token_id(call)
    done = call.do(
        lambda connection, actor, make_id, at_ms: access.revoke_token(
            Step(connection, make_id, at_ms, actor.name, call.reason), token_id
        )
    )
    return call.back("/people/tokens", f"the token {done.name} lets nobody in any more")


def deactivate(call: Call) -> Response:
    """Let somebody in no more."""
    name = _person(call).name
    gone = call.do(
        lambda connection, actor, make_id, at_ms: access.deactivate(
            Step(connection, make_id, at_ms, actor.name, call.reason), name
        )
    )
    call.parts.sessions.end_all(gone.id)
    return call.back(f"/people/{name}", f"{name} is let in no more; sessions and tokens are ended")


def sign_out(call: Call) -> Response:
    """End all sessions of somebody."""
    found = _person(call)
    call.do(
        lambda connection, actor, make_id, at_ms: Step(
            connection, make_id, at_ms, actor.name, call.reason
        ).note("session.end_all", f"person:{found.name}", {})
    )
    ended = call.parts.sessions.end_all(found.id)
    return call.back(f"/people/{found.name}", f"{counted(ended, 'session')} of {found.name} ended")


def give_oneself(call: Call) -> Response:
    """A token of one's own, for commands and scripts: for no more than one may do now."""
    name, days = call.form.get("name", ""), _days(call)
    scopes = _scopes(call) or " ".join(sorted(call.actor.scopes))
    beyond = sorted(set(scopes.split()) - call.actor.scopes)
    if beyond:
        raise RefusedError("bad_scope", f"you may not give what you do not have: {' '.join(beyond)}")

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Given:
        if actor.person_id is None:
            raise RefusedError("not_a_person", "a program makes no tokens: a person does")
        step = Step(connection, make_id, at_ms, actor.name, call.reason or None)
        return access.give_person_token(step, lock_person(connection, actor.name), name, scopes, days)

    return _handed_over(call, call.do(work), "you")


def revoke_own(call: Call) -> Response:
    """End a token of one's own."""
    token_id = _token_id(call)

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> str:
        if actor.person_id is None or lock_token(connection, token_id).person_id != actor.person_id:
            raise NotFoundError(f"you have no token {token_id}")
        return access.revoke_token(
            Step(connection, make_id, at_ms, actor.name, call.reason or None), token_id
        ).name

    return call.back("/me", f"your token {call.do(work)} lets nobody in any more")


def _handed_over(call: Call, given: Given, whose: str) -> Response:
    # On the answer itself, not by way of the session: the token is kept nowhere.
    token = given.token
    data = {"id": token.id, "name": token.name, "scopes": token.scopes, "token": given.secret}
    context: dict[str, Any] = {"given": given, "whose": whose}
    return call.page("token_given.html", title="A new token", data=data, **context)


def _person(call: Call) -> Person:
    name = call.path("name")
    found = find_person(call.connection, name)
    if found is None:
        raise NotFoundError(f"there is no person {name[:64]}")
    return found


def _token_id(call: Call) -> int:
    text = call.path("token_id")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise NotFoundError(f"there is no token {text[:40]}")
    return int(text)


def _role(text: str) -> Role:
    if text not in set(Role):
        raise RefusedError("bad_role", f"a role is one of {', '.join(Role)}, not {text[:40]!r}")
    return Role(text)


def _days(call: Call) -> int:
    text = call.form.get("days", str(DEFAULT_DAYS))
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise RefusedError("bad_expiry", f"a token is good for 1 to {MAX_DAYS} days, not {text[:20]!r}")
    return int(text)


def _scopes(call: Call) -> str | None:
    return " ".join(call.lists.get("scopes", ())) or None


def _add() -> Verb:
    return Verb(
        "Add somebody",
        "Adds a person and shows their first token, this once. The name stays theirs for ever.",
        "/people",
        Scope.ADMIN,
        needs_reason=False,
        fields=(
            Field("name", "Name", hint="a-z, 0-9 and . _ @ + -"),
            Field("role", "Role", "select", Role.VIEWER, [str(role) for role in Role]),
            DAYS,
        ),
    )


def scope_fields(scopes: Iterable[str]) -> tuple[Field, ...]:
    """A box for each of `scopes`, all of them ticked."""
    return tuple(Field("scopes", str(scope), "tick", str(scope)) for scope in sorted(scopes))


def _give(person: Person) -> Verb:
    return Verb(
        "Make a token",
        f"Makes a token for {person.name} and shows it, this once.",
        f"/people/{person.name}/tokens",
        Scope.ADMIN,
        needs_reason=False,
        fields=(
            Field("name", "What it is for", hint="as laptop"),
            *scope_fields(ROLE_SCOPES[person.role]),
            DAYS,
        ),
    )


def _give_program() -> Verb:
    return Verb(
        "Make a token for a program",
        "Makes a token for a program, as the portal, and shows it, this once.",
        "/people/tokens",
        Scope.ADMIN,
        needs_reason=False,
        fields=(Field("name", "The program's name", hint="as portal"), *scope_fields(PROGRAM_SCOPES), DAYS),
    )


def _deactivate(person: Person) -> Verb:
    return Verb(
        "Deactivate",
        f"Lets {person.name} in no more: ends all their sessions and revokes their tokens. "
        "What they did stays on record, and the name is never used again.",
        f"/people/{person.name}/deactivate",
        Scope.ADMIN,
        danger=True,
    )


def _sign_out(person: Person) -> Verb:
    return Verb(
        "Sign out everywhere",
        f"Ends every session of {person.name}. They may sign in again.",
        f"/people/{person.name}/sign-out",
        Scope.ADMIN,
    )


def _revoke(row: dict[str, object]) -> Verb:
    return Verb(
        "Revoke",
        f"The token {row['name']} lets nobody in from now on.",
        f"/people/tokens/{row['id']}/revoke",
        Scope.ADMIN,
        danger=True,
    )


ROUTES = (
    ("GET", "/people", people, Scope.READ),
    ("POST", "/people", add, Scope.ADMIN),
    ("GET", "/people/tokens", tokens, Scope.READ),
    ("POST", "/people/tokens", give_program, Scope.ADMIN),
    ("POST", "/people/tokens/{token_id}/revoke", revoke, Scope.ADMIN),
    ("GET", "/people/{name}", person, Scope.READ),
    ("POST", "/people/{name}/tokens", give, Scope.ADMIN),
    ("POST", "/people/{name}/deactivate", deactivate, Scope.ADMIN),
    ("POST", "/people/{name}/sign-out", sign_out, Scope.ADMIN),
    ("POST", "/me/tokens", give_oneself, Scope.READ),
    ("POST", "/me/tokens/{token_id}/revoke", revoke_own, Scope.READ),
)
