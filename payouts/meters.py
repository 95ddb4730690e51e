"""Meters of one process: what it received, applied, answered and asked, counted since it started.

They are plain numbers, so that counting costs the hot paths well under a microsecond; `payouts/exposition.py`
shows them to Prometheus, a `Pulse` adds them to the minutes in Redis. A key is the name of a family and the
values of its labels, all of them of small closed lists.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

Key = tuple[str, ...]
"""Family, then the values of its labels."""
Totals = Mapping[Key, int]
HttpRole = Literal["receiver", "api"]

DELIVERIES = "deliveries"
"""What the receiver answered, by outcome: stored, other_mode (both acknowledged), rejected, unavailable."""
EVENTS = "events"
"""What came of events that workers looked at, by outcome: an EventStatus."""
ANSWERS = "answers"
"""HTTP requests that were answered, by role and class of status, as 2xx."""
LIMITED = "limited"
"""Of these, those answered 429, by role."""
LIMITS = "limits"
"""Requests that went over a rate limit, by role and by the limit's route group."""
BLOCKED = "blocked"
"""Requests from blocked addresses, by role."""
AUTH_FAILURES = "auth_failures"
"""Requests and sign-ins that let nobody in, by role and kind: see `payouts.auth_failures`."""
TOOK = "took"
"""Of these, by role and by the bound in ms under which the time until the answer was; `inf` above all."""
TOOK_MS = "took_ms"
"""All of that time, by role."""
STRIPE_CALLS = "stripe_calls"
"""Calls to Stripe, by kind (read, write) and outcome: answered, refused, limited, failed."""
STRIPE_MS = "stripe_ms"
"""The time that they took, in all."""
SIGNATURES = "signatures"
"""Deliveries that were refused for their signature, by sender: stripe (one of its addresses), other."""
ERRORS = "errors"
"""Lines of level error, or above, that the process logged."""
BATCHES = "batches"
"""Batches, by kind (intake, apply) and by the bound under which their number of events was."""
BATCH_EVENTS = "batch_events"
"""The events in them, by kind."""
PICKED_UP = "picked_up"
"""Events that a worker looked at for the first time, by the bound in ms under which they had waited."""
PICKED_UP_MS = "picked_up_ms"
"""All of that time."""
MOVES = "moves"
"""Changes of a payout's state, by the state that it came to."""

BOUNDS_MS = (
    *(1, 2, 5, 10, 25, 50, 75, 100, 125, 150, 175, 200),
    *(250, 300, 350, 400, 450, 500, 600, 750, 1_000, 2_500, 5_000, 10_000),
)
"""Of the times until an answer: 200 and 500, where the levels change, are among them, so that on which side a
percentile lies is exact."""
BATCH_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
"""Of the number of events in a batch."""
WAITED_BOUNDS_MS = (
    *(5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000),
)
"""Of the time until an event is picked up."""
ABOVE = "inf"
_BOUNDS_S = [bound / 1000 for bound in BOUNDS_MS]
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
TOO_MANY = 429


class Meter(Protocol):
    """Anything that counts."""

    @property
    def families(self) -> Sequence[str]:
        """What it counts, also where nothing came yet."""
        ...

    def totals(self) -> Totals:
        """What was counted since the start; a count never becomes smaller."""
        ...


class Counter:
    """Counts of one family, from any thread; a call for each batch, not for each thing."""

    def __init__(self, family: str) -> None:
        self.families = (family,)
        self._family = family
        self._counts: dict[Key, int] = {}
        self._lock = threading.Lock()

    def add(self, counts: Mapping[Key, int]) -> None:
        """Count so many of each; a key is the values of the labels."""
        with self._lock:
            for labels, count in counts.items():
                self._counts[labels] = self._counts.get(labels, 0) + count

    def totals(self) -> Totals:
        with self._lock:
            return {(self._family, *labels): count for labels, count in self._counts.items()}


class Spread:
    """How values of one kind are spread over bounds, from any thread: counts by bound, and their sum."""

    def __init__(self, family: str, sum_family: str, bounds: Sequence[int], *labels: str) -> None:
        self.families = (family, sum_family)
        self._counted: Key = (family, *labels)
        self._summed: Key = (sum_family, *labels)
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0
        self._lock = threading.Lock()

    def add(self, values: Iterable[int]) -> None:
        """Count each; a call for each batch, not for each thing."""
        with self._lock:
            for value in values:
                self._counts[bisect_left(self._bounds, value)] += 1
                self._sum += value

    def totals(self) -> Totals:
        with self._lock:
            found: dict[Key, int] = {
                (*self._counted, str(bound)): count
                for bound, count in zip([*self._bounds, ABOVE], self._counts, strict=True)
            }
            return {**found, self._summed: self._sum}


class HttpMeter:
    """Counts the answers of a server: from the thread of its event loop alone, for it takes no lock."""

    families = (ANSWERS, LIMITED, TOOK, TOOK_MS)

    def __init__(self, role: HttpRole) -> None:
        self._role = role
        self._classes = [0] * len(_CLASSES)
        self._took = [0] * (len(BOUNDS_MS) + 1)
        self._took_s = 0.0
        self._limited = 0

    def answered(self, status: int, took_s: float) -> None:
        """Count an answer, and the time from the request's header to the end of the answer."""
        self._classes[status // 100 - 1] += 1
        self._took[bisect_left(_BOUNDS_S, took_s)] += 1
        self._took_s += took_s
        if status == TOO_MANY:
            self._limited += 1

    def totals(self) -> Totals:
        role = self._role
        found: dict[Key, int] = {
            (ANSWERS, role, name): count for name, count in zip(_CLASSES, self._classes, strict=True)
        }
        for bound, count in zip([*BOUNDS_MS, ABOVE], self._took, strict=True):
            found[TOOK, role, str(bound)] = count
        return {**found, (TOOK_MS, role): round(self._took_s * 1000), (LIMITED, role): self._limited}


class StripeMeter:
    """Counts calls to Stripe, from any thread."""

    families = (STRIPE_CALLS, STRIPE_MS)

    def __init__(self) -> None:
        self._calls = Counter(STRIPE_CALLS)
        self._took = Counter(STRIPE_MS)

    def called(self, kind: str, outcome: str, took_s: float) -> None:
        """Count a call and the time that it took."""
        self._calls.add({(kind, outcome): 1})
        self._took.add({(): round(took_s * 1000)})

    def totals(self) -> Totals:
        return {**self._calls.totals(), **self._took.totals()}


class Meters:
    """All meters of a process. `only_here`: those that are not added to the minutes in Redis."""

    def __init__(self, *meters: Meter, only_here: Sequence[Meter] = ()) -> None:
        self._meters: Sequence[Meter] = meters
        self._only_here = only_here
        self.families = {family for meter in (*meters, *only_here) for family in meter.families}
        self._taken: Totals = {}

    def totals(self) -> dict[Key, int]:
        """What was counted since the start, for the minutes."""
        return _all(self._meters)

    def everything(self) -> dict[Key, int]:
        """The same, with what is only counted here."""
        return _all([*self._meters, *self._only_here])

    def take(self) -> dict[Key, int]:
        """What was counted since this was last called, without what was not. For one caller."""
        now, before = self.totals(), self._taken
        self._taken = now
        grown = {key: count - before.get(key, 0) for key, count in now.items()}
        return {key: count for key, count in grown.items() if count > 0}


def _all(meters: Iterable[Meter]) -> dict[Key, int]:
    return {key: count for meter in meters for key, count in meter.totals().items()}
