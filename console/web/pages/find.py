"""Find: from an id, wherever it was copied, to its page."""

from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from console.web.call import Call
from payouts.errors import NotFoundError
from payouts.people import Scope
from payouts.registering import the_partner
from payouts.replay import PUBLIC_PREFIX as REPLAY_PREFIX
from payouts.request import PREFIX as REQUEST_PREFIX
from payouts.storage.event_queries import event

_PLACES = {
    "evt_": "/events",
    REQUEST_PREFIX: "/payouts",
    "po_": "/payouts",
    REPLAY_PREFIX: "/replays",
}


def find(call: Call) -> Response:
    """Go to the page of what was named: an event, a payout, a replay, a partner; else events about it."""
    wanted = call.asked("q")
    if wanted is None:
        return RedirectResponse("/", 303)
    for prefix, place in _PLACES.items():
        if wanted.startswith(prefix):
            return RedirectResponse(f"{place}/{quote(wanted, safe='')}", 303)
    try:
        return RedirectResponse(f"/partners/{the_partner(call.connection, wanted).id}", 303)
    except NotFoundError:
        if wanted.isdigit() and event(call.connection, wanted) is not None:
            return RedirectResponse(f"/events/{wanted}", 303)
    return RedirectResponse(f"/events?object={quote(wanted, safe='')}", 303)


ROUTES = (("GET", "/find", find, Scope.READ),)
