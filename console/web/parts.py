"""What every page works with; built once, when the process starts."""

from collections.abc import Callable
from dataclasses import dataclass

import redis
from sqlalchemy import Engine

from console.web.looks import Looks
from console.web.renderer import Renderer
from console.web.session import Sessions
from console.web.throttle import Throttle
from payouts.bootstrap import open_overviewer
from payouts.clock import Clock, now_ms
from payouts.ids import IdMaker
from payouts.overview import Overview
from payouts.readiness import HOUR_MS, GateRules
from payouts.settings import Settings
from payouts.stores import open_console_engine, open_redis
from workers.messages import QUEUES, Messages

REDIS_TIMEOUT_S = 2.0
"""A page waits no longer for Redis."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The composed console."""

    settings: Settings
    engine: Engine
    redis: redis.Redis
    sessions: Sessions
    throttle: Throttle
    messages: Messages
    """Hints to the workers: what was decided here is begun at once."""
    renderer: Renderer
    gate_rules: GateRules
    """What must hold for a partner before money is sent to it."""
    clock: Clock
    make_id: IdMaker
    look: Callable[[int], Overview]
    """How the service is, with the minutes of so many hours."""


def open_parts(settings: Settings, client: redis.Redis | None = None, clock: Clock = now_ms) -> Parts:
    """The real things. Raises SettingsError; nothing connects before the first request.

    `client`: a Redis to use in place of the settings' own.
    """
    if client is None:
        client = open_redis(settings, REDIS_TIMEOUT_S)
    engine, name = open_console_engine(settings), settings.queue_namespace
    idle_s, absolute_s = round(settings.session_idle_minutes * 60), round(settings.session_hours * 3600)
    return Parts(
        settings=settings,
        engine=engine,
        redis=client,
        sessions=Sessions(client, name, clock, idle_s, absolute_s),
        throttle=Throttle(client, name, settings.sign_in_tries),
        messages=Messages(client, name),
        renderer=Renderer(settings, clock),
        gate_rules=GateRules(
            round(settings.bank_cooling_off_hours * HOUR_MS), settings.bank_account_approval
        ),
        clock=clock,
        make_id=IdMaker(clock),
        look=Looks(open_overviewer(settings, engine, client, QUEUES), clock).look,
    )
