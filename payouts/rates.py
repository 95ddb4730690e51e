"""Rate limits: what is counted together, how much of it a minute allows, and how that is told. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from payouts.errors import PayoutsError

WINDOW_S = 60
"""Every limit is for a minute that slides."""


class RouteGroup(StrEnum):
    """Requests that are counted together, under this name in keys, headers and commands."""

    API_READ = "api-read"
    """What a token looks at, by token."""
    API_WRITE = "api-write"
    """What a token changes, by token."""
    API_OPEN = "api-open"
    """What needs no token, by address."""
    API_REFUSED = "api-refused"
    """Requests whose token is missing or lets nobody in, by address."""
    CONSOLE = "console"
    """Pages and forms of the console, by address."""
    RECEIVER_REFUSED = "receiver-refused"
    """Deliveries without a good signature, by address."""


BY_TOKEN = frozenset({RouteGroup.API_READ, RouteGroup.API_WRITE})
"""Counted by token, all others by address."""
RateLimits = Mapping[RouteGroup, int]
"""How many a minute allows; 0: any number."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Where somebody stands with a limit, once a request was counted."""

    group: RouteGroup
    limit: int
    remaining: int
    reset_s: int
    """In so many seconds more is allowed again."""
    allowed: bool = True

    @property
    def headers(self) -> dict[str, str]:
        """The fields that clients read today, and those of the draft that replaces them; with `Retry-After`
        where it is refused."""
        told = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
            "RateLimit-Policy": f'"{self.group}";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"{self.group}";r={self.remaining};t={self.reset_s}',
        }
        return told if self.allowed else {**told, "Retry-After": str(self.reset_s)}


class RateLimitedError(PayoutsError):
    """Somebody asks for more than its limit allows."""

    def __init__(self, rate: Rate) -> None:
        whom = "this token" if rate.group in BY_TOKEN else "this address"
        super().__init__(
            f"{whom} may send {rate.limit:,} requests of the kind {rate.group} in {WINDOW_S} s: "
            f"try again in {rate.reset_s} s"
        )
        self.rate = rate


def refused(group: RouteGroup, limit: int, again_in_s: float) -> Rate:
    """Where somebody stands who is over a limit for so long."""
    return Rate(group, limit, 0, max(1, math.ceil(again_in_s)), allowed=False)
