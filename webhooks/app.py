"""The receiver's composition: stores, group commit, routes. Nothing connects before the server starts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route

from payouts.clock import now_ms
from payouts.guard import looking, sharing
from payouts.ids import IdMaker
from payouts.meters import Meters
from payouts.pulse import beating
from payouts.rates import RouteGroup
from payouts.secret_source import Derived
from payouts.settings import Settings, listed
from payouts.storage.spill import Spill
from payouts.stores import (
    open_emergency_watch,
    open_engine,
    open_guard,
    open_health_engine,
    open_pulse,
    open_receiver_engine,
    open_redis,
    open_render,
    open_sealer,
)
from payouts.tracing import open_traces
from payouts.troubles import Troubles
from serving.metrics import served
from webhooks.breaker import Breaker
from webhooks.doorkeeper import Doorkeeper
from webhooks.endpoint import Endpoint
from webhooks.health import open_health
from webhooks.hints import Hints
from webhooks.intake import Intake
from webhooks.mail_reports import MailReports
from webhooks.signature import current_secrets
from webhooks.stores import Stores
from workers.messages import open_messages

WEBHOOK_PATH = "/api/webhooks/stripe"
MAIL_REPORT_PATH = "/api/webhooks/resend"


def build_app(settings: Settings, troubles: Troubles | None = None) -> Starlette:
    """The receiver as an ASGI application. Raises SettingsError where no signing secret is set."""
    troubles = troubles or Troubles()
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
        emergency := open_emergency_watch(settings, client),
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
    endpoint.traces = open_traces(settings, "receiver")
    meters = Meters(endpoint.counts, endpoint.meter, guard, only_here=[intake.sizes, troubles])
    reports = open_mail_reports(settings, make_id, emergency.is_on) if settings.resend_secrets else None
    if reports is not None:
        reports.doorkeeper = endpoint.doorkeeper

    engines = [engine, health_engine := open_health_engine(settings)]
    if reports is not None:
        engines.append(reports.addresses.engine)
    pulse = open_pulse(settings, "receiver", meters, *engines)

    def breakers() -> dict[tuple[str], float]:
        return {(each.name,): float(each.is_open) for each in (stores.database, stores.redis)}

    gauges = {"payouts_breaker_open": breakers}
    render = open_render(settings, pulse, gauges, settings.receiver_port)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with served(render, settings.metrics_host, settings.metrics_port):
            async with beating(pulse), looking(guard), sharing(rejections):
                yield
        await intake.close()
        hints.close()
        queue.end()
        stores.close()
        health.close()
        if endpoint.traces is not None:
            await asyncio.to_thread(endpoint.traces.close)
        if reports is not None:
            reports.addresses.engine.dispose()

    health = open_health(settings, stores, endpoint.counts, health_engine)
    return Starlette(
        routes=[
            Route(WEBHOOK_PATH, endpoint, methods=["POST"]),
            *([Route(MAIL_REPORT_PATH, reports.answer, methods=["POST"])] if reports else []),
            *health.routes(),
        ],
        lifespan=lifespan,
    )


def open_mail_reports(settings: Settings, make_id: IdMaker, in_emergency: Callable[[], bool]) -> MailReports:
    """What takes Resend's reports, with an engine of its own; nothing connects yet."""
    from payouts.mail_addresses import Addresses

    secrets = Derived((settings.source("resend_webhook_secret"),), listed)
    return MailReports(secrets.get, Addresses(open_engine(settings), make_id, now_ms), in_emergency)
