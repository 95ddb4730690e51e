"""How this receiver is: its own stores as their breakers know them, and all else that the service needs."""

from functools import partial

from sqlalchemy import Engine

from payouts.health_checks import DATABASE, REDIS, Found, HealthAsks, now_iso, tell
from payouts.provider_health import provider_health
from payouts.settings import Settings
from payouts.stores import HEALTH_TIMEOUT_S, open_redis
from payouts.version import VERSION
from serving.health import About, Health
from webhooks.endpoint import Counts
from webhooks.stores import Stores

FATAL = [{DATABASE, REDIS}]
"""With one of the two it still takes what Stripe sends."""


class ReceiverAsks(HealthAsks):
    """A store that this process gave up on is asked by its breaker alone."""

    def __init__(self, settings: Settings, stores: Stores, engine: Engine) -> None:
        super().__init__(engine, open_redis(settings, HEALTH_TIMEOUT_S), settings)
        self._stores = stores

    def database(self) -> Found:
        if self._stores.database.is_open:
            return Found("fail", "the database does not answer: events go to Redis")
        return super().database()

    def redis(self) -> Found:
        if self._stores.redis.is_open:
            return Found("fail", "Redis does not answer")
        return super().redis()


def open_health(settings: Settings, stores: Stores, counts: Counts, engine: Engine) -> Health:
    """What answers for this receiver, by an engine of its own; nothing connects yet."""
    asks = ReceiverAsks(settings, stores, engine)
    checks = asks.checks(partial(provider_health, settings.oidc_issuer))
    about = About(VERSION, settings.environment, now_iso, counts.shown)
    return Health(about, checks, FATAL, tell, asks.close)
