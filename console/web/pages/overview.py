"""Is all well?"""

from starlette.responses import Response

from console.web.call import Call
from payouts.people import Scope


def overview(call: Call) -> Response:
    """The first page."""
    return call.page("overview.html", title="Overview", data={})


ROUTES = (("GET", "/", overview, Scope.READ),)
