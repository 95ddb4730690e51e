"""Acknowledged events per second."""

from statistics import median

from bench.bed import Bed, pause, resident_mb

SECONDS = 4
MOST_PER_S = 20_000


VARIANTS: dict[str, tuple[tuple[str, ...], dict[str, str], int]] = {
    "only verifies": (("bench.alternatives", "verify-only"), {}, MOST_PER_S),
    "service": (("webhooks",), {}, MOST_PER_S),
    "groups of one": (("bench.alternatives", "groups-of-one"), {}, 4_000),
    "commit per request": (("bench.alternatives", "commit-per-request"), {"DATABASE_POOL_SIZE": "20"}, 4_000),
}
"""Name → module, settings, and the most requests a second to prepare for."""


def acknowledged(bed: Bed, connections: int, rounds: int) -> dict[str, float]:
    """Medians of interleaved rounds of each variant, and the service's memory as `memory_mb`."""
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    memory = 0.0
    for _ in range(rounds):
        for name, (module, env, most_per_s) in VARIANTS.items():
            process, port = bed.serve(*module, **env)
            rates[name].append(bed.wrk(port, connections, SECONDS, most_per_s))
            if name == "service":
                memory = max(memory, resident_mb(process))
            bed.end(process)
            pause()
    return {**{name: median(values) for name, values in rates.items()}, "memory_mb": memory}


def acknowledged_only(bed: Bed, connections: int) -> float:
    """The receiver alone, once."""
    process, port = bed.serve("webhooks")
    rate = bed.wrk(port, connections, SECONDS, MOST_PER_S)
    bed.end(process)
    pause()
    return rate
