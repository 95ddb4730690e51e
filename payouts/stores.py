"""The composition root, as far as every process needs it: engines, Redis, what seals payloads.

Apart from `payouts.bootstrap`, which goes on from here: a receiver and most commands start a quarter sooner
without all that workers are made of.
"""

import redis
from sqlalchemy import Engine

from payouts.errors import SettingsError
from payouts.sealing import Sealer
from payouts.settings import Settings
from payouts.storage.engine import build_engine

RECEIVER_POOL_SIZE = 3


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
    """The engine of the console's pages: a connection for each thread, and one for what is live."""
    return build_engine(
        settings.database_url.get_secret_value(),
        timeout_s=settings.database_timeout_s,
        pool_size=settings.console_threads + 1,
    )


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
