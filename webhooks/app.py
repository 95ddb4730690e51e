"""The receiver's composition: stores, group commit, routes. Nothing connects before the server starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route

from payouts.clock import now_ms
from payouts.guard import looking, sharing
from payouts.ids import IdMaker
from payouts.meters import Meters
from payouts.pulse import beating
from payouts.rates import RouteGroup
from payouts.settings import Settings
from payouts.storage.spill import Spill
from payouts.stores import (
    open_emergency_watch,
    open_guard,
    open_pulse,
    open_receiver_engine,
    open_redis,
    open_sealer,
)
from webhooks.breaker import Breaker
from webhooks.doorkeeper import Doorkeeper
from webhooks.endpoint import Endpoint
from webhooks.health import open_health
from webhooks.hints import Hints
from webhooks.intake import Intake
from webhooks.signature import current_secrets
from webhooks.stores import Stores
from workers.messages import open_messages

WEBHOOK_PATH = "/api/webhooks/stripe"


def build_app(settings: Settings) -> Starlette:
    """The receiver as an ASGI application. Raises SettingsError where no signing secret is set."""
    secrets = current_secrets(settings)
    timeout_s = settings.receiver_store_timeout_s
    make_id = IdMaker()
    client, engine = open_redis(settings, timeout_s), open_receiver_engine(settings)
    messages = open_messages(settings, open_redis(settings, timeout_s), timeout_s)
    hints = Hints(messages.apply)
    stores = Stores(
        engine,
        client,
        Spill(client, settings.redis_spill, settings.queue_namespace),
        make_id,
        hints.add,
        open_emergency_watch(settings, client),
    )
    # A queue of its own may be away while Redis takes what is spilled, and the other way round.
    own_queue = bool(settings.queue_url.get_secret_value())
    queue = Breaker("queue", messages.ping, lambda: None) if own_queue else stores.redis
    hints.breaker = queue
    intake = Intake(stores.write, settings.receiver_max_waiting, settings.receiver_max_waiting_bytes)
    seal = open_sealer(settings).seal
    endpoint = Endpoint(intake, secrets, settings.livemode, make_id, now_ms, seal, settings.log_events)
    guard = open_guard(settings, "receiver", engine)
    rejections = guard.rejections(RouteGroup.RECEIVER_REFUSED)
    endpoint.doorkeeper = Doorkeeper(guard, rejections)
    pulse = open_pulse(settings, "receiver", Meters(endpoint.counts, endpoint.meter, guard), engine)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with beating(pulse), looking(guard), sharing(rejections):
            yield
        await intake.close()
        hints.close()
        queue.end()
        stores.close()
        health.close()

    health = open_health(settings, stores, endpoint.counts)
    return Starlette(
        routes=[
            Route(WEBHOOK_PATH, endpoint, methods=["POST"]),
            *health.routes(),
        ],
        lifespan=lifespan,
    )
