"""The five vital signs, judged by three levels. Pure.

The levels are those of the portal's runbook, so that both are run by the same numbers. Below the first bound
a sign is normal, from it on a warning, past the second one critical. Each percentage has one denominator:

- error rate: answers 5xx / all answers, of the receiver's webhook endpoint and of the API (without its
  liveness), each by itself; the worse of the two counts. 503 is one, also where Stripe will send again.
- p95 latency: the time from a request's header to the end of its answer that 95 % of the same answers kept;
  the worse of the two counts.
- database connections: connected to the server, whoever opened them / its `max_connections`. Where it
  limits a user also: opened by our processes / `max_user_connections`; the worse counts. Where no server
  tells (SQLite, some hosted ones): in use by our processes / the sizes of their pools.
- memory: in use / the limit, of the place that a process runs in: its control group where that has a limit,
  else the machine; the worst of all places counts.
- rate-limit hits: answers 429 / all answers, as for the error rate.

Rates are of the last WINDOW_MINUTES whole minutes and the one that runs. A sign without a denominator (no
request, no process) is unknown, which is no cause for alarm: an idle service has no error rate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

WINDOW_MINUTES = 5
_SHARE = 0.95


class Level(StrEnum):
    """How a sign stands, from well to bad."""

    UNKNOWN = "unknown"
    NORMAL = "normal"
    WARNING = "warning"
    CRITICAL = "critical"


_ORDER = list(Level)


class Vital(StrEnum):
    """What is judged."""

    ERROR_RATE = "error_rate"
    P95_LATENCY = "p95_latency"
    DATABASE_CONNECTIONS = "database_connections"
    MEMORY = "memory"
    RATE_LIMIT_HITS = "rate_limit_hits"


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `warning` on a warning, past `critical` critical. Shares of 1; for latency ms."""

    warning: float
    critical: float

    def level(self, value: float) -> Level:
        """How `value` stands."""
        if value > self.critical:
            return Level.CRITICAL
        return Level.WARNING if value >= self.warning else Level.NORMAL


BOUNDS = {
    Vital.ERROR_RATE: Bounds(0.001, 0.01),
    Vital.P95_LATENCY: Bounds(200, 500),
    Vital.DATABASE_CONNECTIONS: Bounds(0.5, 0.8),
    Vital.MEMORY: Bounds(0.7, 0.85),
    Vital.RATE_LIMIT_HITS: Bounds(0.05, 0.15),
}


@dataclass(frozen=True, slots=True)
class Part:
    """The sign of one role or place. `value`: a share of 1, for latency ms. `text`: what it is made of."""

    name: str
    value: float
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Sign:
    """One vital sign. Its worst part decides; without any it is unknown."""

    vital: Vital
    parts: Sequence[Part] = ()

    @property
    def worst(self) -> Part | None:
        """What decides."""
        return max(self.parts, key=lambda part: (_ORDER.index(part.level), part.value), default=None)

    @property
    def level(self) -> Level:
        return self.worst.level if self.worst else Level.UNKNOWN


@dataclass(frozen=True, slots=True)
class Answers:
    """What a server answered in the window.

    `took`: how many answers by the bound in ms that each kept; infinity above all.
    """

    requests: int
    errors: int
    """5xx."""
    limited: int
    """429."""
    took: Mapping[float, int]

    @property
    def p95_ms(self) -> float | None:
        return percentile_ms(self.took, _SHARE)


@dataclass(frozen=True, slots=True)
class Used:
    """So much of something, as `what` says in words."""

    name: str
    used: int
    most: int
    what: str


def judge(answers: Mapping[str, Answers], connections: Sequence[Used], memory: Sequence[Used]) -> list[Sign]:
    """The five signs. `answers`: by role."""
    asked = {role: each for role, each in answers.items() if each.requests}
    return [
        Sign(
            Vital.ERROR_RATE,
            [_rate(Vital.ERROR_RATE, role, each.errors, each.requests) for role, each in asked.items()],
        ),
        Sign(Vital.P95_LATENCY, [part for role, each in asked.items() for part in _latency(role, each)]),
        Sign(Vital.DATABASE_CONNECTIONS, _shares(Vital.DATABASE_CONNECTIONS, connections)),
        Sign(Vital.MEMORY, _shares(Vital.MEMORY, memory)),
        Sign(
            Vital.RATE_LIMIT_HITS,
            [_rate(Vital.RATE_LIMIT_HITS, role, each.limited, each.requests) for role, each in asked.items()],
        ),
    ]


def worst(levels: Iterable[Level]) -> Level:
    """The worst of `levels`, where unknown is the best; without any, unknown."""
    return max(levels, key=_ORDER.index, default=Level.UNKNOWN)


def percentile_ms(took: Mapping[float, int], share: float) -> float | None:
    """The time in ms that `share` of the answers kept, by a straight line inside a bucket; None without any.

    `took`: how many answers by the bound in ms that they kept, each in the lowest that fits. In the last
    bucket, which has no bound, the one before it is told: it took at least so long.
    """
    total = sum(took.values())
    if not total:
        return None
    rank, below, lower = total * share, 0, 0.0
    for bound in sorted(took):
        count = took[bound]
        if count and below + count >= rank:
            return lower if bound == float("inf") else lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return lower


def _rate(vital: Vital, role: str, count: int, requests: int) -> Part:
    share = count / requests
    return Part(role, share, BOUNDS[vital].level(share), f"{count:,} of {requests:,} requests")


def _latency(role: str, answers: Answers) -> list[Part]:
    p95_ms = answers.p95_ms
    if p95_ms is None:
        return []
    level = BOUNDS[Vital.P95_LATENCY].level(p95_ms)
    return [Part(role, p95_ms, level, f"{answers.requests:,} requests")]


def _shares(vital: Vital, used: Sequence[Used]) -> list[Part]:
    shares = [(each, each.used / each.most) for each in used if each.most > 0]
    return [Part(each.name, share, BOUNDS[vital].level(share), each.what) for each, share in shares]
