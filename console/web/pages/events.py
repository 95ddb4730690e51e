"""Events: what Stripe sent, and what came of it."""

from typing import Any

from starlette.responses import Response

from console.web.call import Call
from console.web.listing import listed
from payouts.errors import NotFoundError
from payouts.people import Scope
from payouts.states import EventStatus
from payouts.storage.event_queries import event, events


def event_list(call: Call) -> Response:
    """The inbox, newest first."""
    equal = {"status": "status", "type": "type", "account": "account", "object": "object_id"}
    page = listed(call, events, equal)
    return call.page(
        "events.html", title="Events", data=list(page.rows), page=page, statuses=list(EventStatus)
    )


def one_event(call: Call) -> Response:
    """All that is kept about one event."""
    found = event(call.connection, call.path("key"))
    if found is None:
        raise NotFoundError(f"there is no event {call.path('key')[:80]}")
    shown: dict[str, Any] = {name: value for name, value in found.items() if name != "payload"}
    return call.page("event.html", title=found["event_id"], data=shown, event=shown)


ROUTES = (
    ("GET", "/events", event_list, Scope.READ),
    ("GET", "/events/{key}", one_event, Scope.READ),
)
