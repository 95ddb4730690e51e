"""Who one is: sessions, and signing out of all of them."""

from typing import Any

from starlette.responses import Response

from console.web.call import Call
from console.web.pages.people import DAYS, scope_fields
from console.web.verb import Field, Verb
from payouts.people import Scope
from payouts.storage.people_rows import tokens_of
from payouts.tokens import Token


def me(call: Call) -> Response:
    """Whoever is signed in, with their open sessions."""
    session, person_id = call.visitor.session, call.actor.person_id
    sessions = call.parts.sessions.of(person_id) if session and person_id is not None else []
    data = {
        "name": call.actor.name,
        "role": call.visitor.role,
        "scopes": sorted(call.actor.scopes),
        "sessions": len(sessions),
    }
    context: dict[str, Any] = {
        "sessions": sessions,
        "tokens": _tokens(call),
        "give": _give(call),
        "revoke": _revoke,
    }
    return call.page("me.html", title=call.actor.name, data=data, **context)


def _tokens(call: Call) -> list[Token]:
    if call.actor.person_id is None:
        return []
    found = tokens_of(call.connection, call.actor.person_id)
    return [token for token in found if token.revoked_at_ms is None and token.expires_at_ms > call.now_ms]


def _give(call: Call) -> Verb:
    return Verb(
        "Make a token",
        "Makes a token of yours for commands and scripts, for no more than you may do now, and shows it, "
        "this once.",
        "/me/tokens",
        Scope.READ,
        needs_reason=False,
        fields=(Field("name", "What it is for", hint="as laptop"), *scope_fields(call.actor.scopes), DAYS),
    )


def _revoke(token: Token) -> Verb:
    return Verb(
        "Revoke",
        f"Your token {token.name} lets nobody in from now on.",
        f"/me/tokens/{token.id}/revoke",
        Scope.READ,
        needs_reason=False,
        danger=True,
    )


ROUTES = (("GET", "/me", me, Scope.READ),)
