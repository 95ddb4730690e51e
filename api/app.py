"""The API's composition: engine, threads, routes. Nothing connects before the first request."""

from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from functools import partial

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.access import AccessLog
from api.closing import Closing
from api.endpoint import Desk, Endpoint
from api.guard import Doorkeeper, Guarded
from api.health import open_health
from api.openapi import document
from api.operation import Operation
from api.operations import OPERATIONS, PREFIX
from api.pool import Pool
from api.schemas import Live
from api.telling import tell, tell_http
from payouts.clock import now_ms
from payouts.every import every
from payouts.guard import LOOK_EVERY_S, looking, sharing
from payouts.ids import IdMaker
from payouts.meters import Meters
from payouts.pulse import Pulse, beating
from payouts.settings import Settings
from payouts.storage.kept_answers import KeptAnswers
from payouts.storage.people_rows import live_digests
from payouts.stores import (
    open_emergency_watch,
    open_engine,
    open_guard,
    open_health_engine,
    open_lists,
    open_pulse,
    open_redis,
    open_render,
    open_sealer,
)
from payouts.troubles import Troubles
from payouts.version import VERSION
from serving.health import PATHS, Health
from serving.metrics import served
from workers.messages import open_messages

LIVE_PATH, DOCUMENT_PATH = f"{PREFIX}/live", f"{PREFIX}/openapi.json"
PROBES = frozenset({LIVE_PATH, *PATHS})
MAINTENANCE_PATH = f"{PREFIX}/maintenance"
HINT_TIMEOUT_S = 0.5
"""Of each call to Redis: it tells workers what to send, keeps answers, and may cost no more."""


def build_app(settings: Settings, troubles: Troubles | None = None) -> Starlette:
    """The API as an ASGI application. Raises SettingsError."""
    engine = open_engine(settings)
    client = open_redis(settings, HINT_TIMEOUT_S)
    messages = open_messages(settings, client, HINT_TIMEOUT_S)
    # A thread for each connection: none of them ever waits for one.
    pool = Pool(settings.database_pool_size)
    emergency = open_emergency_watch(settings, client)
    closing = Closing(engine, by_setting=settings.maintenance_mode, emergency=emergency)
    kept = KeptAnswers(client, settings.queue_namespace, open_sealer(settings))
    lists = open_lists(settings, engine, settings.database_pool_size)
    guard = open_guard(settings, "api", engine)
    doorkeeper = Doorkeeper(guard, partial(live_digests, engine))
    desk = Desk(
        *(engine, pool, messages.send_payout, now_ms, IdMaker(), closing, kept, lists), doorkeeper=doorkeeper
    )
    meters = Meters(desk.meter, guard, only_here=[doorkeeper.failures, troubles or Troubles()])
    health_engine = open_health_engine(settings)
    pulse = open_pulse(settings, "api", meters, engine, health_engine)
    render = open_render(settings, pulse, door=settings.api_port)
    metrics = served(render, settings.metrics_host, settings.metrics_port)
    return make_app(desk, pulse, open_health(settings, health_engine), metrics)


def make_app(
    desk: Desk,
    pulse: Pulse | None = None,
    health: Health | None = None,
    metrics: AbstractContextManager[object] | None = None,
) -> Starlette:
    """The API around the parts it is given; it closes them when it ends."""
    alive: AbstractAsyncContextManager[None] = beating(pulse) if pulse else nullcontext()
    access_log = Middleware(AccessLog, make_id=desk.make_id, meter=desk.meter, uncounted=PROBES)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with metrics or nullcontext():
            async with alive, _kept_up_to_date(desk.doorkeeper):
                yield
        desk.pool.close()
        desk.engine.dispose()
        if desk.lists:
            desk.lists.dispose()
        if health:
            health.close()

    app = Starlette(
        routes=[
            *(health.routes() if health else ()),
            Route(LIVE_PATH, _live, methods=["GET"]),
            Route(MAINTENANCE_PATH, _Maintenance(desk).answer, methods=["GET"]),
            Route(DOCUMENT_PATH, _document, methods=["GET"]),
            *_routes(desk),
        ],
        middleware=[access_log, *_guarded(desk)],
        exception_handlers={HTTPException: tell_http},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _routes(desk: Desk) -> list[Route]:
    # One route for a path: its 405 then names every method there is.
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(PREFIX + path, Endpoint(desk, operations).answer, methods=list(operations))
        for path, operations in by_path.items()
    ]


def _guarded(desk: Desk) -> list[Middleware]:
    if desk.doorkeeper is None:
        return []
    paths = frozenset({MAINTENANCE_PATH, DOCUMENT_PATH})
    return [Middleware(Guarded, doorkeeper=desk.doorkeeper, pool=desk.pool, open_paths=paths, free=PROBES)]


@asynccontextmanager
async def _kept_up_to_date(doorkeeper: Doorkeeper | None) -> AsyncIterator[None]:
    if doorkeeper is None:
        yield
        return
    learning = every(LOOK_EVERY_S, doorkeeper.learn)
    async with looking(doorkeeper.guard), sharing(doorkeeper.rejections), learning:
        yield


async def _live(_: Request) -> Response:
    return _json(Live("live", VERSION))


class _Maintenance:
    """What the portal shows of maintenance; needs no token, and is answered during it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Response:
        try:
            return _json(await self._desk.pool.run(self._desk.closing.shown))
        except Exception as error:  # noqa: BLE001 - told to the caller, and logged where it is a fault
            return tell(request, error)


async def _document(_: Request) -> Response:
    return _json(document())


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
