"""Fills Redis with what a large installation has there: two days of minutes, and a hundred processes."""

import redis

from payouts.clock import now_ms
from payouts.meters import ANSWERS, TOOK, Key
from payouts.storage.minutes import CHARTED, HOURS_MOST, MINUTE_MS, Minutes
from payouts.storage.presence import Presence, ProcessState, Role

PROCESSES = 100
ROLES: tuple[Role, ...] = ("receiver", "api", "worker", "scheduler", "console")
COUNTED: tuple[Key, ...] = (
    *CHARTED,
    *((ANSWERS, role, what) for role in ("receiver", "api") for what in ("2xx", "4xx", "5xx")),
    *((TOOK, role, str(2**power)) for role in ("receiver", "api") for power in range(14)),
)


def fill_redis(client: redis.Redis, namespace: str) -> None:
    """For a Redis that is empty; what it says of processes does not end."""
    now, minutes = now_ms(), Minutes(namespace)
    for ago in range(HOURS_MOST * 60):
        with client.pipeline(transaction=False) as pipe:
            counts = {key: (ago + at) % 50 + 1 for at, key in enumerate(COUNTED)}
            minutes.add(pipe, now - ago * MINUTE_MS, counts)
            pipe.execute()
    presence = Presence(client, namespace, lambda: now + 3_600_000)  # none falls silent meanwhile
    state = ProcessState(version="1", started_at_ms=now, resident_bytes=10**8, connections_used=1)
    with client.pipeline(transaction=False) as pipe:
        for number in range(PROCESSES):
            presence.note(pipe, ROLES[number % len(ROLES)], f"bench-{number}:1", state)
        pipe.execute()
    for key in client.scan_iter(f"{namespace}:process:*"):
        client.persist(key)
