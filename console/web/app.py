"""The console's composition: parts, pages, what is live. Nothing connects before the first request."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)

from anyio import to_thread
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console.web import data, door, live
from console.web.call import Call, json_response, wants_json
from console.web.frame import Frame, cookie_name, is_secure
from console.web.guard import Guarded, hits
from console.web.headers import Headers
from console.web.health import open_health
from console.web.looks import recalling
from console.web.oidc import open_provider
from console.web.pages import PAGES
from console.web.parts import Parts, open_parts
from console.web.renderer import STATIC
from payouts.errors import NotFoundError
from payouts.guard import looking
from payouts.logs import get_logger
from payouts.meters import Counter, Meters
from payouts.pulse import Pulse, beating
from payouts.settings import Settings
from payouts.stores import open_health_engine, open_pulse, open_render
from payouts.troubles import Troubles
from serving.health import PATHS
from serving.metrics import served

STATIC_AT = "/static"
KEPT = "public, max-age=31536000, immutable"
_NO_PAGE = "there is no such page"


LISTS = frozenset(
    {
        *("/audit", "/events", "/ledger/transactions", "/partners", "/payouts", "/payouts/at-stripe"),
        *("/reconciliation/rounds", "/replays", "/completeness/walks", "/completeness/proofs"),
    }
)
"""Pages that may be read from a replica: they lead on, and nothing is decided on them."""


def build_app(settings: Settings, troubles: Troubles | None = None) -> Starlette:
    """The console as an ASGI application. Raises SettingsError."""
    parts, limited = open_parts(settings), hits()
    meters = Meters(limited, parts.guard, only_here=[parts.failures, troubles or Troubles()])
    health_engine = open_health_engine(settings)
    pulse = open_pulse(settings, "console", meters, parts.engine, health_engine)
    render = open_render(settings, pulse, door=settings.console_port)
    metrics = served(render, settings.metrics_host, settings.metrics_port)
    return make_app(parts, pulse, limited, metrics, health_engine)


def make_app(
    parts: Parts,
    pulse: Pulse | None = None,
    limited: Counter | None = None,
    metrics: AbstractContextManager[object] | None = None,
    health_engine: Engine | None = None,
) -> Starlette:
    """The console around the parts it is given; it closes them when it ends. `limited` counts its 429s."""
    frame, news = Frame(parts), live.News(parts)
    provider = open_provider(parts.settings)
    health_engine = health_engine or open_health_engine(parts.settings)
    health = open_health(parts.settings, provider, parts.redis, health_engine)
    alive: AbstractAsyncContextManager[None] = beating(pulse) if pulse else nullcontext()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # Pages run in threads, and the engine has connections for so many of them.
        to_thread.current_default_thread_limiter().total_tokens = parts.settings.console_threads + 1
        with metrics or nullcontext():
            async with news, alive, looking(parts.guard), recalling(parts.looks):
                yield
        parts.engine.dispose()
        parts.lists.dispose()
        health.close()

    app = Starlette(
        routes=[
            *health.routes(),
            *door.routes(frame, provider),
            Route("/live", live.stream(frame, news), methods=["GET"]),
            Mount(STATIC_AT, _Assets(directory=STATIC)),
            *(
                Route(path, frame(handler, scope, is_list=path in LISTS), methods=[method])
                for page in PAGES
                for method, path, handler, scope in page
            ),
        ],
        middleware=[
            Middleware(Headers, secure=is_secure(parts)),
            Middleware(Guarded, guard=parts.guard, free=(f"{STATIC_AT}/", *PATHS), hits=limited or hits()),
        ],
        exception_handlers={HTTPException: _http_error, 404: _nowhere(frame), Exception: _crashed},
        lifespan=lifespan,
    )
    data.mount(app, frame)
    app.router.redirect_slashes = False
    return app


class _Assets(StaticFiles):
    """Files whose addresses carry their digest: kept for as long as a browser likes."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["Cache-Control"] = KEPT
        return answer


def _nowhere(frame: Frame) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers what is not there: with the console around it to whoever is signed in, to find back from."""

    def not_found(_: Call) -> Response:
        raise NotFoundError(_NO_PAGE)

    page = frame(not_found)

    async def answer(request: Request, error: Exception) -> Response:
        looks = request.method == "GET" and cookie_name(frame.parts) in request.cookies
        if wants_json(request) or not looks:
            return await _http_error(request, error)
        return await page(request)

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    said = {404: _NO_PAGE, 405: "this address does not take that method"}.get(status, str(error))
    if wants_json(request):
        return json_response({"error": "http", "message": said}, status)
    return Response(f"{said}\n", status, media_type="text/plain; charset=utf-8")


async def _crashed(request: Request, error: Exception) -> Response:
    # The server logs the error itself, with its traceback; here is what leads to it.
    crash = f"crash-{secrets.token_hex(4)}"
    get_logger().error("console.page_failed", crash=crash, path=request.url.path, error=type(error).__name__)
    said = f"something went wrong here: look whether what you wanted was done; the log names it {crash}"
    if wants_json(request):
        return json_response({"error": "crashed", "message": said}, 500)
    return Response(f"{said}\n", 500, media_type="text/plain; charset=utf-8")
