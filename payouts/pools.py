"""Do all processes together fit what the database allows? Pure: counts in, an answer and what to set out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from payouts.settings import Settings
from payouts.storage.redis_view import Process
from payouts.stores import HEALTH_POOL_SIZE, LOOK_POOL_SIZE, RECEIVER_POOL_SIZE

ROLES = ("receiver", "worker", "scheduler", "api", "console")
BESIDE = {"receiver": HEALTH_POOL_SIZE, "api": HEALTH_POOL_SIZE, "console": HEALTH_POOL_SIZE}
"""Connections beside the pool of a role, for health."""
SIZED_ROLES = frozenset({"worker", "scheduler", "api"})
"""Whose pools DATABASE_POOL_SIZE sets."""
SPARE = 10
"""For commands, a migration, and whoever looks at the server by hand."""
SHARE = 0.8
"""From there on the sign of connections is critical; and a restart, old beside new, needs room."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one role takes: `each` is what one process of it may open, `beside` how many of these are for
    health and metrics, whatever DATABASE_POOL_SIZE is."""

    role: str
    processes: int
    each: int
    beside: int = 0

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
        rest = self.total - sum(need.processes * (need.each - need.beside) for need in sized)
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
    if settings.resend_secrets:  # what it says of bounces is written by a pool of its own
        pools["receiver"] += size
    return {role: pools[role] + beside(settings, role) for role in ROLES}


def beside(settings: Settings, role: str) -> int:
    """Connections of a role beside its pool: for health, and for metrics of how the service stands."""
    if role == "scheduler":
        return LOOK_POOL_SIZE if settings.metrics_port else 0
    return BESIDE.get(role, 0)


def needs_of(processes: Sequence[Process], settings: Settings, planned: Mapping[str, int]) -> list[Need]:
    """What each role takes: as many processes as `planned`, else as are there; the larger of what one of them
    says that it may open and what the settings say."""
    found, sizes = [], pool_sizes(settings)
    for role in ROLES:
        here = [each for each in processes if each.here and each.seen.role == role]
        told = [each.state.connections_most for each in here if each.state and each.state.connections_most]
        need = Need(role, planned.get(role, len(here)), max([sizes[role], *told]), beside(settings, role))
        found.append(need)
    return found
