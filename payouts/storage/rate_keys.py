"""Who is counted for rate limits now, read from Redis: by SCAN, in steps that hold nobody up."""

import re
from dataclasses import dataclass
from typing import Any

import redis

from payouts.rate_limiter import SIGN_IN, key_prefix

STEP = 500
KEYS_MOST = 50_000
"""Looked at; where there are more, what is told is of these."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How much somebody asked for in the minute that runs for it."""

    group: str
    key: str
    """A token's row id, an address, or `all`."""
    count: int
    limit: int | None
    """None: of failed sign-ins, whose limit is SIGN_IN_TRIES."""


@dataclass(frozen=True, slots=True)
class Busiest:
    """Who asks most. `whole`: every key was looked at."""

    counted: list[Counted]
    whole: bool


def busiest(client: redis.Redis, namespace: str, most: int) -> Busiest:
    """The `most` callers that are nearest to their limits. Raises redis.RedisError."""
    prefix = key_prefix(namespace)
    names: set[str] = set()
    cursor, whole = 0, True
    while True:
        found: Any = client.scan(cursor, match=f"{_literal(prefix)}:*", count=STEP)
        cursor = int(found[0])
        names.update(name.decode("utf-8", "replace") for name in found[1])
        if not cursor:
            break
        if len(names) >= KEYS_MOST:
            whole = False
            break
    known = {name: parsed for name in sorted(names) if (parsed := _parse(name.removeprefix(f"{prefix}:")))}
    listed = list(known)
    counted: list[Counted] = []
    for start in range(0, len(listed), STEP):
        part = listed[start : start + STEP]
        values: Any = client.mget(part)
        for name, value in zip(part, values, strict=True):
            group, key, limit = known[name]
            if value is not None and int(value) > 0:
                counted.append(Counted(group, key, int(value), limit))
    counted.sort(key=lambda each: (-each.count / (each.limit or 1_000), -each.count, each.group, each.key))
    return Busiest(counted[:most], whole)


_WINDOW = re.compile(r"\{([a-z-]+)/(.+)/(\d+)/\d+/[a-z]+\}")


def _parse(name: str) -> tuple[str, str, int | None] | None:
    """Group, key and limit of a counter; None for that of the window before, and for what is none."""
    found = _WINDOW.fullmatch(name)
    if found:
        return found[1], found[2], int(found[3])
    group, _, key = name.partition(":")
    return (group, key, None) if group == SIGN_IN and key else None


def _literal(text: str) -> str:
    """`text` in a pattern of Redis's, where it means itself."""
    return re.sub(r"([\\*?\[\]^-])", r"\\\1", text)
