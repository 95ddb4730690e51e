"""What every page works with; built once, when the process starts."""

from dataclasses import dataclass

import redis
from sqlalchemy import Engine

from console.web.looks import Looks
from console.web.renderer import Renderer
from console.web.session import Sessions
from console.web.throttle import Throttle
from payouts.auth_failures import AuthFailures
from payouts.bootstrap import gate_rules, open_overviewer, open_payloads, open_what_if
from payouts.clock import Clock, now_ms
from payouts.guard import Guard
from payouts.ids import IdMaker
from payouts.payloads import Payloads
from payouts.readiness import GateRules
from payouts.settings import Settings
from payouts.storage.replica import Lists
from payouts.stores import open_console_engine, open_guard, open_lists, open_redis
from payouts.what_if import WhatIf
from workers.messages import QUEUES, Messages, open_messages

REDIS_TIMEOUT_S = 2.0
"""A page waits no longer for Redis."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The composed console."""

    settings: Settings
    engine: Engine
    lists: Lists
    """Where lists are read, which may be a little stale."""
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
    what_if: WhatIf
    """What finds out what a replay would change. Its engine is the pages' own."""
    payloads: Payloads
    guard: Guard
    """Who is blocked, and how much anybody may ask for."""
    failures: AuthFailures
    """Counts those who are not let in."""
    looks: Looks
    """How the service is, with the minutes of so many hours."""


def open_parts(settings: Settings, client: redis.Redis | None = None, clock: Clock = now_ms) -> Parts:
    """The real things. Raises SettingsError; nothing connects before the first request.

    `client`: a Redis to use in place of the settings' own.
    """
    counting = client  # a client with time limits of its own, unless one is given
    if client is None:
        client = open_redis(settings, REDIS_TIMEOUT_S)
    engine, name = open_console_engine(settings), settings.queue_namespace
    messages = open_messages(settings, client, REDIS_TIMEOUT_S)
    lists = open_lists(settings, engine, settings.console_threads + 1, clock)
    idle_s, absolute_s = round(settings.session_idle_minutes * 60), round(settings.session_hours * 3600)
    return Parts(
        settings=settings,
        engine=engine,
        lists=lists,
        redis=client,
        sessions=Sessions(client, name, clock, idle_s, absolute_s),
        throttle=Throttle(client, name, settings.sign_in_tries),
        messages=messages,
        renderer=Renderer(settings, clock),
        gate_rules=gate_rules(settings),
        clock=clock,
        make_id=IdMaker(clock),
        what_if=open_what_if(settings, engine, clock),
        payloads=open_payloads(settings),
        looks=Looks(open_overviewer(settings, engine, client, QUEUES, depths=messages.depths), clock),
        guard=open_guard(settings, "console", engine, counting, clock),
        failures=AuthFailures("console"),
    )
