"""How fast money may go out: requests counted against limits with a window, in order. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from payouts.holds import EVERYTHING, HoldScope, Target
from payouts.limits import COUNTED, Limit, LimitKind, Limits, value_text, window_text
from payouts.request import PayoutRequest

MeterKey = tuple[LimitKind, Target]


@dataclass(frozen=True, slots=True)
class Trip:
    """A limit that one more request would pass, and what is to be held for it."""

    limit: Limit
    target: Target
    text: str


class Meter:
    """Counts what goes out. `used`: what went out within each limit's window, by kind and target."""

    def __init__(self, limits: Limits, used: Mapping[MeterKey, int]) -> None:
        self._limits = limits
        self._used = dict(used)

    def add(self, request: PayoutRequest) -> Trip | None:
        """Count `request`; where that would pass a limit, count nothing and return what trips."""
        found = measured(self._limits, request)
        for limit, target in found:
            if self._used.get((limit.kind, target), 0) + _size(limit, request) > limit.value:
                return Trip(limit, target, _text(limit, target))
        for limit, target in found:
            key = (limit.kind, target)
            self._used[key] = self._used.get(key, 0) + _size(limit, request)
        return None


def measured(limits: Limits, request: PayoutRequest) -> list[tuple[Limit, Target]]:
    """The limits with a window that `request` counts against, each with what it holds when it trips."""
    targets: dict[LimitKind, Target] = {
        LimitKind.VELOCITY_COUNT: EVERYTHING,
        LimitKind.VELOCITY_AMOUNT: (HoldScope.CURRENCY, request.currency),
        LimitKind.PARTNER_VELOCITY: (HoldScope.PARTNER, str(request.partner_id)),
    }
    found = [(limits.of(kind, request.partner_id, request.currency), at) for kind, at in targets.items()]
    return [(limit, target) for limit, target in found if limit is not None]


def _size(limit: Limit, request: PayoutRequest) -> int:
    return 1 if limit.kind in COUNTED else request.amount_minor


def _text(limit: Limit, target: Target) -> str:
    whom = f" to partner {target[1]}" if target[0] == HoldScope.PARTNER else ""
    return f"more than {value_text(limit)}{whom} would go out within {window_text(limit.window_s)}"
