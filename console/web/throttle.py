"""Failed sign-ins are counted, so that nobody tries tokens one after the other."""

from typing import Any

import redis

from payouts.addresses import counted_as
from payouts.errors import RefusedError
from payouts.rate_limiter import SIGN_IN, key_prefix

WITHIN_S = 300
ALL_TOGETHER = 20
"""So many times what one address may fail, all addresses together may."""
CAME_IN_S = 30 * 24 * 3600
"""For so long an address from which somebody signed in does not suffer for what all the others do."""


class ThrottledError(RefusedError):
    """Too many sign-ins failed. `again_in_s`: when to try again."""

    def __init__(self, again_in_s: int) -> None:
        super().__init__(
            "too_many_tries", f"too many sign-ins failed: try again in {max(1, again_in_s // 60)} minutes"
        )
        self.again_in_s = again_in_s


class Throttle:
    """Counts in Redis, for all processes of the console together. Raises redis.RedisError."""

    def __init__(self, client: redis.Redis, namespace: str, tries: int) -> None:
        self._client, self._prefix, self._tries = client, f"{key_prefix(namespace)}:{SIGN_IN}", tries
        self._namespace = namespace

    def check(self, address: str) -> None:
        """ThrottledError where this address failed too often of late, or all together, for an address from
        which nobody has signed in: a flood from many addresses must not lock out those who are here daily."""
        limits = self._limits(address)
        found: Any = self._client.mget([self._came_in(address), *limits])
        own = f"{self._prefix}:{counted_as(address)}"
        over = [
            key
            for (key, most), n in zip(limits.items(), found[1:], strict=True)
            if n and int(n) >= most and (key == own or found[0] is None)
        ]
        if over:
            left: Any = self._client.ttl(over[0])
            raise ThrottledError(max(1, int(left)))

    def failed(self, address: str) -> None:
        """A sign-in from `address` failed."""
        with self._client.pipeline(transaction=True) as pipe:
            for key in self._limits(address):
                pipe.incr(key)
                pipe.expire(key, WITHIN_S, nx=True)
            pipe.execute()

    def came_in(self, address: str) -> None:
        """Somebody signed in from `address`."""
        self._client.set(self._came_in(address), 1, ex=CAME_IN_S)

    def _came_in(self, address: str) -> str:
        return f"{self._namespace}:came-in:{counted_as(address)}"

    def _limits(self, address: str) -> dict[str, int]:
        return {
            f"{self._prefix}:{counted_as(address)}": self._tries,
            f"{self._prefix}:all": self._tries * ALL_TOGETHER,
        }
