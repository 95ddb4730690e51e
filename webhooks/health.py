"""`GET` and `HEAD /api/health`: is this receiver serving, and what does it know of its stores."""

import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from payouts.clock import iso, now_ms
from payouts.version import VERSION
from webhooks.endpoint import Counts
from webhooks.stores import Stores


@dataclass(frozen=True, slots=True)
class Health:
    """Answers from what the breakers know: no dependency is asked, so none can hang the answer."""

    stores: Stores
    counts: Counts
    environment: str
    started_s: float = field(default_factory=time.monotonic)

    async def answer(self, request: Request) -> Response:
        database_ok, redis_ok = not self.stores.database.is_open, not self.stores.redis.is_open
        status = (
            "healthy" if database_ok and redis_ok else "degraded" if database_ok or redis_ok else "unhealthy"
        )
        return JSONResponse(
            {
                "status": status,
                "timestamp": iso(now_ms()),
                "version": VERSION,
                "environment": self.environment,
                "uptime": int(time.monotonic() - self.started_s),
                "checks": {
                    "database": {"status": "pass" if database_ok else "fail"},
                    "redis": {"status": "pass" if redis_ok else "fail"},
                },
                "counts": {
                    "received": self.counts.received,
                    "other_mode": self.counts.other_mode,
                    "rejected": self.counts.rejected,
                    "unavailable": self.counts.unavailable,
                },
            }
        )
