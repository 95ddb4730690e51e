"""Before every page: who is blocked, and who asks for too many. And whom a request comes from."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from console.web.call import json_response, wants_json
from payouts.addresses import UNKNOWN
from payouts.errors import PayoutsError
from payouts.guard import BlockedError, Guard
from payouts.meters import LIMITED, Counter
from payouts.rates import RateLimitedError, RouteGroup

_ADDRESS = "console.address"


class Guarded:
    """Around the console. Files that pages are made of (`free`) are not counted; `hits` counts the 429s."""

    def __init__(self, app: ASGIApp, guard: Guard, free: str, hits: Counter) -> None:
        self._app, self._guard, self._free, self._hits = app, guard, free, hits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guard = self._guard
        address = scope[_ADDRESS] = guard.address_of(scope)
        try:
            guard.check_block(address)
            if not scope["path"].startswith(self._free):
                rate = await run_in_threadpool(guard.hit_address, RouteGroup.CONSOLE, address)
                if rate is not None and not rate.allowed:
                    raise RateLimitedError(rate)
        except PayoutsError as error:
            await self._refusal(Request(scope), error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request, error: PayoutsError) -> Response:
        if isinstance(error, RateLimitedError):
            self._hits.add({("console",): 1})
            status, code, headers = 429, "rate_limited", error.rate.headers
        else:
            status, code, headers = 403, error.code if isinstance(error, BlockedError) else "refused", {}
        if wants_json(request):
            answer = json_response({"error": code, "message": str(error)}, status)
        else:
            answer = Response(f"{error}\n", status, media_type="text/plain; charset=utf-8")
        answer.headers.update(headers)
        return answer


def hits() -> Counter:
    """What counts the console's 429s."""
    return Counter(LIMITED)


def address_of(request: Request) -> str:
    """Whom a request comes from; behind trusted proxies, whom they name."""
    if _ADDRESS in request.scope:
        return str(request.scope[_ADDRESS])
    return request.client.host if request.client else UNKNOWN
