"""How this API is."""

from functools import partial

from payouts.health_checks import DATABASE, HealthAsks, now_iso, tell
from payouts.provider_health import provider_health
from payouts.settings import Settings
from payouts.stores import HEALTH_TIMEOUT_S, open_health_engine, open_redis
from payouts.version import VERSION
from serving.health import About, Health

FATAL = [{DATABASE}]
"""Without it nothing can be asked for; Redis only tells workers sooner."""


def open_health(settings: Settings) -> Health:
    """What answers for this API; nothing connects yet."""
    engine, client = open_health_engine(settings), open_redis(settings, HEALTH_TIMEOUT_S)
    asks = HealthAsks(engine, client, settings)
    checks = asks.checks(partial(provider_health, settings.oidc_issuer))
    return Health(About(VERSION, settings.environment, now_iso), checks, FATAL, tell, asks.close)
