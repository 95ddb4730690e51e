"""How a caller is told that something speaks against its request: problem details, and nothing inner."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.access import note, request_id_of
from api.pool import OverloadedError, TooSlowError
from api.problems import CONTENT_TYPE, Told, told, unavailable
from payouts.logs import get_logger

_ROUTER = {
    404: ("no_such_address", "nothing is at this address: /api/v1/openapi.json lists what there is"),
    405: ("no_such_method", "this address does not take that method: the header Allow names those it takes"),
}
"""What the router says by itself, in other words than a partner or a payout that is not there."""
_FAULT = "this is a fault of the service's own; its log has more under this request_id"


def tell(request: Request, error: Exception) -> Response:
    """The answer for whatever was raised. What nobody expected is logged with its traceback."""
    known = _told(error)
    if known is None:
        get_logger().error("api.fault", request_id=request_id_of(request.scope), exc_info=error)
        known = Told(500, "internal_error", _FAULT)
    elif known.status == 503:
        cause = type(error).__name__
        get_logger().warning("api.unavailable", request_id=request_id_of(request.scope), error_class=cause)
    note(request.scope, code=known.code)
    problem = known.problem(request_id_of(request.scope))
    return Response(msgspec.json.encode(problem), known.status, dict(known.headers), CONTENT_TYPE)


async def tell_http(request: Request, error: Exception) -> Response:
    """The same for what the router says: no such path, or no such method on it."""
    return tell(request, error)


def _told(error: Exception) -> Told | None:
    if isinstance(error, OverloadedError):
        return unavailable(str(error), "overloaded")
    if isinstance(error, TooSlowError):
        return unavailable(str(error), "timed_out")
    if isinstance(error, HTTPException):
        code, detail = _ROUTER.get(error.status_code, ("bad_request", error.detail))
        return Told(error.status_code, code, detail, headers=dict(error.headers or {}))
    return told(error)
