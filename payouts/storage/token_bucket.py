"""A token bucket in Redis that all workers share: so many calls a second, and a few at once.

The bucket is one number: when the next call may be made if all calls so far had come evenly spaced (the
generic cell rate algorithm). One script reads and moves it, by Redis's own clock.
"""

import time
from collections.abc import Callable

import redis

_SCRIPT = """
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local every_us, burst_us, patience_us = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local next_us = tonumber(redis.call('GET', KEYS[1]) or '0')
if next_us < now_us then next_us = now_us end
local wait_us = next_us - burst_us - now_us
if wait_us > patience_us then return -1 end
redis.call('SET', KEYS[1], string.format('%.0f', next_us + every_us), 'PX', 60000)
if wait_us < 0 then return 0 end
return wait_us
"""


class TokenBucket:
    """Allows `rate` calls a second on average, and `burst` at once. Safe to share between threads."""

    def __init__(
        self,
        client: redis.Redis,
        name: str,
        rate: float,
        burst: int,
        patience_s: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`patience_s`: a caller who would have to wait for longer is sent away instead."""
        self._script = client.register_script(_SCRIPT)
        self._name = f"bucket:{name}"
        self._every_us = int(1_000_000 / rate)
        self._burst_us = int(self._every_us * max(burst - 1, 0))
        self._patience_us = int(patience_s * 1_000_000)
        self._sleep = sleep

    def take(self) -> bool:
        """Wait for a token and take it. False where the wait would be too long: nothing was taken."""
        arguments = [self._every_us, self._burst_us, self._patience_us]
        wait_us = int(self._script(keys=[self._name], args=arguments))
        if wait_us > 0:
            self._sleep(wait_us / 1_000_000)
        return wait_us >= 0
