"""Who one is: sessions, and signing out of all of them."""

from starlette.responses import Response

from console.web.call import Call
from payouts.people import Scope


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
    return call.page("me.html", title=call.actor.name, data=data, sessions=sessions)


ROUTES = (("GET", "/me", me, Scope.READ),)
