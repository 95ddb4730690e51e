"""How this API is."""

from functools import partial

from sqlalchemy import Engine

from payouts.health_checks import DATABASE, HealthAsks, now_iso, tell
from payouts.provider_health import provider_health
from payouts.settings import Settings
from payouts.stores import HEALTH_TIMEOUT_S, open_redis
from payouts.version import VERSION
from serving.health import About, Health

FATAL = [{DATABASE}]
"""Without it nothing can be asked for; Redis only tells workers sooner."""


def open_health(settings: Settings, engine: Engine) -> Health:
    """What answers for this API, by an engine of its own; nothing connects yet."""
    asks = HealthAsks(engine, open_redis(settings, HEALTH_TIMEOUT_S), settings)
    checks = asks.checks(partial(provider_health, settings.oidc_issuer))
    return Health(About(VERSION, settings.environment, now_iso), checks, FATAL, tell, asks.close)
