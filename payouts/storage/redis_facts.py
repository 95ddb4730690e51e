"""What a Redis says of itself: version, what it keeps and evicts, memory, clock. Changes nothing."""

from dataclasses import dataclass
from typing import Any

import redis

from payouts.clock import Clock, ClockReading
from payouts.storage.spill import KEPT_BY

_FLUSH_WAIT_MS = 100


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """A Redis as it is now. None: it does not tell."""

    version: str | None
    maxmemory_bytes: int | None
    used_bytes: int | None
    last_write_ok: bool | None
    """Whether its append-only file took the last write."""
    config: dict[str, str] | None
    config_error: str
    flushed: Any
    """Its answer to WAITAOF, or the error in its place."""


def redis_facts(client: redis.Redis) -> RedisFacts:
    """Ask. Raises redis.RedisError where it does not answer at all."""
    client.ping()
    with client.pipeline(transaction=False) as pipe:
        pipe.info()
        pipe.config_get(*KEPT_BY)
        pipe.execute_command("WAITAOF", 1, 0, _FLUSH_WAIT_MS)  # type: ignore[no-untyped-call]
        info, config, flushed = pipe.execute(raise_on_error=False)
    said: dict[str, Any] = {} if isinstance(info, redis.RedisError) else dict(info)
    refused = isinstance(config, redis.RedisError) or not config
    status = said.get("aof_last_write_status")
    return RedisFacts(
        version=said.get("redis_version"),
        maxmemory_bytes=said.get("maxmemory"),
        used_bytes=said.get("used_memory"),
        last_write_ok=None if status is None else status == "ok",
        config=None if refused else {_text(name): _text(value) for name, value in config.items()},
        config_error=str(config) if refused else "",
        flushed=flushed,
    )


def redis_clock(client: redis.Redis, clock: Clock) -> ClockReading:
    """Redis's own clock. Raises redis.RedisError."""
    client.ping()  # connects, so that the time below is that of one short trip
    asked_at_ms = clock()
    seconds, micros = client.time()
    return ClockReading(seconds * 1000 + micros // 1000, asked_at_ms, clock())


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
