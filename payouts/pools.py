"""Do all processes together fit what the database allows? Pure: counts in, an answer and what to set out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from payouts.settings import Settings
from payouts.storage.redis_view import Process
from payouts.stores import HEALTH_POOL_SIZE, RECEIVER_POOL_SIZE

ROLES = ("receiver", "worker", "scheduler", "api", "console")
HTTP_ROLES = frozenset({"receiver", "api", "console"})
"""These have a connection beside their pool, for health."""
SIZED_ROLES = frozenset({"worker", "scheduler", "api"})
"""Whose pools DATABASE_POOL_SIZE sets."""
SPARE = 10
"""For commands, a migration, and whoever looks at the server by hand."""
SHARE = 0.8
"""From there on the sign of connections is critical; and a restart, old beside new, needs room."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one role takes: `each` is what one process of it may open."""

    role: str
    processes: int
    each: int

    @property
    def total(self) -> int:
        return self.processes * self.each


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether `needs` fit into `most` connections. `most` is None where no server tells, or none limits."""

    needs: Sequence[Need]
    most: int | None
    connected: int | None
    pool_size: int

    @property
    def total(self) -> int:
        """All that may be open at once, with what is spare."""
        return sum(need.total for need in self.needs) + SPARE

    @property
    def fits(self) -> bool | None:
        return None if self.most is None else self.total < SHARE * self.most

    @property
    def wanted_most(self) -> int:
        """The least max_connections that this fits."""
        return math.floor(self.total / SHARE) + 1

    @property
    def wanted_pool_size(self) -> int | None:
        """The largest DATABASE_POOL_SIZE that fits with as many processes; None: not even 1 does."""
        if self.most is None:
            return None
        sized = [need for need in self.needs if need.role in SIZED_ROLES]
        processes = sum(need.processes for need in sized)
        rest = self.total - sum(need.processes * (need.each - _beside(need.role)) for need in sized)
        if not processes:
            return None
        size = (math.ceil(SHARE * self.most) - 1 - rest) // processes
        return size if size >= 1 else None


def pool_sizes(settings: Settings) -> dict[str, int]:
    """What one process of each role may open with these settings."""
    size = settings.database_pool_size
    pools = {
        "receiver": RECEIVER_POOL_SIZE,
        "worker": size,
        "scheduler": size,
        "api": size,
        "console": 2 * settings.console_threads + 1,
    }
    return {role: pools[role] + _beside(role) for role in ROLES}


def needs_of(
    processes: Sequence[Process], sizes: Mapping[str, int], planned: Mapping[str, int]
) -> list[Need]:
    """What each role takes: as many processes as `planned`, else as are there; the larger of what one of them
    says that it may open and what the settings say."""
    found = []
    for role in ROLES:
        here = [each for each in processes if each.here and each.seen.role == role]
        told = [
            each.state.connections_most + _beside(role)
            for each in here
            if each.state and each.state.connections_most
        ]
        found.append(Need(role, planned.get(role, len(here)), max([sizes[role], *told])))
    return found


def _beside(role: str) -> int:
    return HEALTH_POOL_SIZE if role in HTTP_ROLES else 0
