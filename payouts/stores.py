"""The composition root, as far as every process needs it: engines, Redis, what seals payloads.

Apart from `payouts.bootstrap`, which goes on from here: a receiver and most commands start a quarter sooner
without all that workers are made of.
"""

import os
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from sqlalchemy import Engine

from payouts.clock import Clock, now_ms
from payouts.emergency_watch import EmergencyWatch
from payouts.errors import SettingsError
from payouts.guard import Guard
from payouts.meters import Meters
from payouts.pulse import TIMEOUT_S as PULSE_TIMEOUT_S
from payouts.pulse import Pulse
from payouts.rate_limiter import RateLimiter
from payouts.sealing import Sealer
from payouts.settings import Settings
from payouts.storage.emergency_switch import EmergencySwitch
from payouts.storage.engine import build_engine
from payouts.storage.guard_rows import decided
from payouts.storage.minutes import Minutes
from payouts.storage.presence import Presence, Role
from payouts.storage.replica import Lists

if TYPE_CHECKING:
    from payouts.exposition import Render, Values

LIMITER_TIMEOUT_S = 0.3
"""Of each call to Redis that counts a request: a limit is worth no longer wait."""
RECEIVER_POOL_SIZE = 3
LOOK_POOL_SIZE = 1
"""Of the scheduler, for what metrics tell of the service."""
REPLICA_TIMEOUT_S = 3.0
"""Shorter than that of the database, which is asked afterwards where the replica does not answer."""
HEALTH_POOL_SIZE = 1
"""Of receiver, API and console, beside the pool that they work with."""
HEALTH_TIMEOUT_S = 1.5
"""Of each step of a health check: connecting, and an answer."""


def open_engine(settings: Settings) -> Engine:
    """The engine for workers, scheduler and commands; nothing connects yet."""
    return build_engine(
        settings.database_url.get_secret_value(),
        timeout_s=settings.database_timeout_s,
        pool_size=settings.database_pool_size,
    )


def open_migration_engine(settings: Settings) -> Engine:
    """An engine whose statements may take as long as a large table needs."""
    url = settings.database_url.get_secret_value()
    return build_engine(url, timeout_s=settings.database_timeout_s, pool_size=1, patient=True)


def open_receiver_engine(settings: Settings) -> Engine:
    """The receiver's engine: short time limits, one statement a transaction, few connections."""
    return build_engine(
        settings.database_url.get_secret_value(),
        timeout_s=settings.receiver_store_timeout_s,
        pool_size=RECEIVER_POOL_SIZE,
        autocommit=True,
    )


def open_console_engine(settings: Settings) -> Engine:
    """The engine of the console's pages. None waits for a connection: a page that is being read holds one and
    may need another, to do what it is asked or to look at the server; and one is for what is live."""
    return build_engine(
        settings.database_url.get_secret_value(),
        timeout_s=settings.database_timeout_s,
        pool_size=2 * settings.console_threads + 1,
    )


def open_lists(settings: Settings, primary: Engine, pool_size: int, clock: Clock = now_ms) -> Lists:
    """What reads lists, from the replica where one is set; nothing connects yet."""
    url = settings.database_replica_url.get_secret_value()
    replica = build_engine(url, timeout_s=REPLICA_TIMEOUT_S, pool_size=pool_size) if url else None
    return Lists(primary, replica, clock, round(settings.database_replica_lag_s * 1000))


def open_health_engine(settings: Settings) -> Engine:
    """The engine of health checks: its own connection, so that a busy pool is no database that is away."""
    url = settings.database_url.get_secret_value()
    return build_engine(url, timeout_s=HEALTH_TIMEOUT_S, pool_size=HEALTH_POOL_SIZE)


def open_redis(settings: Settings, timeout_s: float) -> redis.Redis:
    """A Redis client whose every call ends within `timeout_s`; nothing connects yet."""
    try:
        return redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=None,
            health_check_interval=0,
        )
    except ValueError:
        raise SettingsError(
            "REDIS_URL does not read as an address: it looks like redis://host:6379/0"
        ) from None


def open_sealer(settings: Settings) -> Sealer:
    """What seals payloads, for whoever puts events into the inbox."""
    return Sealer(settings.sealing_keys)


def open_presence(settings: Settings, client: redis.Redis, clock: Clock = now_ms) -> Presence:
    """Which processes are there."""
    return Presence(client, settings.queue_namespace, clock)


def open_pulse(
    settings: Settings, role: Role, meters: Meters, *engines: Engine, clock: Clock = now_ms
) -> Pulse:
    """What tells others how this process is and what its `meters` count; nothing connects yet.

    `engines`: all by which the process opens connections to the database.
    """
    client = open_redis(settings, PULSE_TIMEOUT_S)
    minutes = Minutes(settings.queue_namespace)
    presence = open_presence(settings, client, clock)
    alive_file = Path(settings.alive_file) if settings.alive_file else None
    return Pulse(client, presence, minutes, meters, clock, role, process_name(), [*engines], alive_file)


def open_render(
    settings: Settings, pulse: Pulse, gauges: "Mapping[str, Values] | None" = None, door: int = 0
) -> "Render | None":
    """What a process shows to Prometheus: what its pulse tells, and `gauges`. None: METRICS_PORT is 0.

    `door`: the port where it serves others. SettingsError where that is METRICS_PORT: metrics would take it.
    """
    if not settings.metrics_port:
        return None
    if settings.metrics_port == door:
        raise SettingsError(
            f"METRICS_PORT is {door}, where this process serves others: choose another (0: no metrics)"
        )
    from payouts.exposition import exposed  # costs a start 40 ms

    return exposed(pulse, gauges or {})


def process_name() -> str:
    """How this process is named to others: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def open_emergency_switch(settings: Settings, client: redis.Redis) -> EmergencySwitch:
    """The switch of emergency mode."""
    return EmergencySwitch(client, settings.queue_namespace)


def open_emergency_watch(settings: Settings, client: redis.Redis) -> EmergencyWatch:
    """What a process knows of that switch."""
    return EmergencyWatch(open_emergency_switch(settings, client), by_setting=settings.enable_mock_data)


def open_guard(
    settings: Settings,
    role: Role,
    engine: Engine,
    client: redis.Redis | None = None,
    clock: Clock = now_ms,
) -> Guard:
    """What a server knows of those who ask it; nothing connects yet.

    `client`: a Redis to count in, in place of the settings' own.
    """
    counting = open_redis(settings, LIMITER_TIMEOUT_S) if client is None else client
    limiter = RateLimiter(counting, settings.queue_namespace)
    read = partial(decided, engine)
    return Guard(role, settings.proxies, settings.rate_limits, limiter, read, clock)
