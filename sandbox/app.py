"""The parts put together, and the table of calls."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from sandbox import (
    accounts,
    balances,
    bank_accounts,
    capabilities,
    endpoints,
    lives,
    payouts,
    reversals,
    transfers,
)
from sandbox.calls import Operation
from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.deliveries import Deliveries
from sandbox.errors import StripeError
from sandbox.events import Events
from sandbox.faults import Faults, Plan
from sandbox.front import Answered, Asked, ConnectionCutError, Front
from sandbox.idempotency import Keys
from sandbox.limits import Limits
from sandbox.progress import Progress
from sandbox.settings import Settings
from sandbox.store import Store
from sandbox.wire import Poster
from sandbox.world import World

LOG = logging.getLogger("sandbox")
TRANSPORT = "sandbox.transport"
"""Where the server puts the connection, so that it can be cut."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a sandbox is made: each is a flag of `python -m sandbox`."""

    seed: int = 1
    file: Path | None = None
    pace: float = 1.0
    api_key: str | None = None
    settings: Settings = field(default_factory=Settings)
    faults: Faults = field(default_factory=Faults)


def build(options: Options) -> Starlette:
    store = Store(options.file) if options.file else None
    world = World(options.seed, options.settings, Clock(options.pace), store)
    world.faults = options.faults
    world.timers.on(lives.STEP, partial(lives.step, world))
    world.timers.on(balances.BECOMES_AVAILABLE, partial(balances.release_by_timer, world))
    deliveries = Deliveries(world, Poster(), store)
    progress = Progress(world, deliveries)
    plan, keys = Plan(), Keys(world, store)
    front = Front(world, keys, Limits(world, time.monotonic), plan, options.api_key)
    control = Control(world, deliveries, progress, plan)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running = [asyncio.create_task(progress.run()), asyncio.create_task(deliveries.run())]
        for task in running:
            task.add_done_callback(_told_if_broken)
        yield
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        deliveries.stop()
        world.save_clock()
        world.changes.write()
        if store is not None:
            store.close()

    table = operations(Events(deliveries))
    return Starlette(
        routes=[*_routes(front, table), Mount("/_sandbox", routes=control.routes())], lifespan=lifespan
    )


def _told_if_broken(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        LOG.critical("time stands still: a part of the sandbox broke", exc_info=task.exception())


def operations(events: Events) -> list[Operation]:
    """Every call that is answered, the frequent ones first."""
    account, bank = "/v1/accounts/{account}", "/v1/accounts/{account}/external_accounts"
    reversal = "/v1/transfers/{id}/reversals"
    rows = [
        ("POST", "/v1/transfers", transfers.create),
        ("POST", "/v1/payouts", payouts.create),
        ("GET", "/v1/payouts/{id}", payouts.retrieve),
        ("GET", "/v1/payouts", payouts.list_all),
        ("GET", "/v1/balance", balances.retrieve),
        ("POST", "/v1/payouts/{id}", payouts.update),
        ("POST", "/v1/payouts/{id}/cancel", payouts.cancel),
        ("POST", "/v1/payouts/{id}/reverse", payouts.reverse),
        ("GET", "/v1/transfers", transfers.list_all),
        ("GET", "/v1/transfers/{id}", transfers.retrieve),
        ("POST", "/v1/transfers/{id}", transfers.update),
        ("POST", reversal, reversals.create),
        ("GET", reversal, reversals.list_all),
        ("GET", reversal + "/{reversal}", reversals.retrieve),
        ("POST", reversal + "/{reversal}", reversals.update),
        ("GET", "/v1/balance_transactions", balances.list_transactions),
        ("GET", "/v1/balance_transactions/{id}", balances.retrieve_transaction),
        ("GET", "/v1/events", events.list_all),
        ("GET", "/v1/events/{id}", events.retrieve),
        ("POST", "/v1/events/{id}/retry", events.resend),
        ("GET", "/v1/account", accounts.retrieve_own),
        ("GET", "/v1/accounts", accounts.list_all),
        ("POST", "/v1/accounts", accounts.create),
        ("GET", account, accounts.retrieve),
        ("POST", account, accounts.update),
        ("GET", account + "/capabilities", capabilities.list_all),
        ("GET", account + "/capabilities/{capability}", capabilities.retrieve),
        ("GET", bank, bank_accounts.list_all),
        ("POST", bank, bank_accounts.create),
        ("GET", bank + "/{id}", bank_accounts.retrieve),
        ("POST", bank + "/{id}", bank_accounts.update),
        ("DELETE", bank + "/{id}", bank_accounts.delete),
        ("GET", "/v1/webhook_endpoints", endpoints.list_all),
        ("POST", "/v1/webhook_endpoints", endpoints.create),
        ("GET", "/v1/webhook_endpoints/{id}", endpoints.retrieve),
        ("POST", "/v1/webhook_endpoints/{id}", endpoints.update),
        ("DELETE", "/v1/webhook_endpoints/{id}", endpoints.delete),
    ]
    made = [Operation(*row) for row in rows]
    made[0] = Operation(*rows[0], subject=transfers.destination)
    return made


def _routes(front: Front, table: list[Operation]) -> list[Route]:
    def route(operation: Operation) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _serve(front, operation, request)

        return Route(operation.path, endpoint, methods=[operation.method])

    async def unknown(request: Request) -> Response:
        error = StripeError(404, f"Unrecognized request URL ({request.method}: {request.url.path}).")
        return _response(front.refuse(error))

    return [*map(route, table), Route("/v1/{rest:path}", unknown, methods=["GET", "POST", "DELETE"])]


async def _serve(front: Front, operation: Operation, request: Request) -> Response:
    body = await request.body() if operation.method == "POST" else b""
    text = (
        body.decode("utf-8", "replace") if body else request.scope["query_string"].decode("ascii", "replace")
    )
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    try:
        return _response(await front.answer(operation, Asked(headers, request.path_params, text)))
    except ConnectionCutError:
        transport: Any = request.scope.get("extensions", {}).get(TRANSPORT, {}).get("transport")
        if transport is None:
            raise
        transport.abort()
        return Response(status_code=500)  # goes nowhere: the connection is gone


def _response(answered: Answered) -> Response:
    return Response(answered.body, answered.status, answered.headers, media_type="application/json")
