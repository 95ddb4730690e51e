"""How this console is. The identity provider is asked as for signing in."""

import redis
from sqlalchemy import Engine

from console.web.oidc import OidcProvider
from payouts.health_checks import DATABASE, REDIS, Found, HealthAsks, now_iso, tell
from payouts.provider_health import LOCAL
from payouts.settings import Settings
from payouts.version import VERSION
from serving.health import About, Health

FATAL = [{DATABASE}, {REDIS}]
"""Pages come from the one, sessions are kept in the other."""


def open_health(
    settings: Settings, provider: OidcProvider | None, client: redis.Redis, engine: Engine
) -> Health:
    """What answers for this console, by an engine of its own; nothing connects yet."""

    async def auth() -> Found:
        if provider is None:
            return LOCAL
        # The provider's own note names what to set, which is not for everybody.
        found = await provider.health()
        if not found.passed:
            return Found("fail", "the identity provider does not answer as one: who is signed in stays so")
        return Found("pass", latency_ms=found.latency_ms)

    asks = HealthAsks(engine, client, settings)
    return Health(About(VERSION, settings.environment, now_iso), asks.checks(auth), FATAL, tell, asks.close)
