"""How this console is. The identity provider is asked as for signing in."""

import redis

from console.web.oidc import OidcProvider
from payouts.health_checks import DATABASE, REDIS, Found, HealthAsks, now_iso, tell
from payouts.provider_health import LOCAL
from payouts.settings import Settings
from payouts.stores import HEALTH_TIMEOUT_S, open_health_engine, open_redis
from payouts.version import VERSION
from serving.health import About, Health

FATAL = [{DATABASE}, {REDIS}]
"""Pages come from the one, sessions are kept in the other."""


def open_health(
    settings: Settings, provider: OidcProvider | None, client: redis.Redis | None = None
) -> Health:
    """What answers for this console; nothing connects yet. `client`: in place of one by the settings."""

    async def auth() -> Found:
        if provider is None:
            return LOCAL
        # The provider's own note names what to set, which is not for everybody.
        found = await provider.health()
        if not found.passed:
            return Found("fail", "the identity provider does not answer as one: who is signed in stays so")
        return Found("pass", latency_ms=found.latency_ms)

    client = client or open_redis(settings, HEALTH_TIMEOUT_S)
    asks = HealthAsks(open_health_engine(settings), client, settings)
    return Health(About(VERSION, settings.environment, now_iso), asks.checks(auth), FATAL, tell, asks.close)
