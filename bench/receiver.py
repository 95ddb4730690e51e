"""Acknowledged events per second."""

from statistics import median

from bench.bed import Bed, pause, resident_mb

SECONDS = 4
MOST_PER_S = 20_000


def acknowledged(bed: Bed, connections: int, rounds: int) -> dict[str, float]:
    """Medians of interleaved rounds: the receiver, the app that only verifies, one commit per request."""
    rates: dict[str, list[float]] = {"service": [], "verify-only": [], "commit-per-request": []}
    memory = 0.0
    for _ in range(rounds):
        for name, module in (
            ("verify-only", ("bench.alternatives", "verify-only")),
            ("service", ("webhooks",)),
            ("commit-per-request", ("bench.alternatives", "commit-per-request")),
        ):
            env = {"DATABASE_POOL_SIZE": "20"} if name == "commit-per-request" else {}
            process, port = bed.serve(*module, **env)
            most = MOST_PER_S if name != "commit-per-request" else 4_000
            rates[name].append(bed.wrk(port, connections, SECONDS, most))
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
