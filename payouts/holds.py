"""Holds: while one is active, what it covers is not sent. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from payouts.request import PayoutRequest, public_id


class HoldKind(StrEnum):
    """Why sending is held."""

    KILL_SWITCH = "kill_switch"
    """A person stopped everything."""
    VELOCITY = "velocity"
    """More went out in a window than a limit allows. Placed by the service, released by a person."""
    MANUAL = "manual"
    """A person holds one thing back."""
    RECOVERY = "recovery"
    """After a restore, Stripe has something for the account that no request here stands for. Placed by the
    service, released by a person who found out what it is."""


WAITS_FOR = {
    HoldKind.KILL_SWITCH: "kill_switch",
    HoldKind.VELOCITY: "velocity",
    HoldKind.MANUAL: "held",
    HoldKind.RECOVERY: "held",
}
"""What a request says that it waits for, by the kind of the hold that stops it."""


class HoldScope(StrEnum):
    """What a hold covers; each but `all` is narrowed by its key."""

    ALL = "all"
    CURRENCY = "currency"
    """Key: the currency's code."""
    PARTNER = "partner"
    """Key: the partner's row id."""
    ACCOUNT = "account"
    """Key: the Stripe account. Holds a partner also where it is not registered yet, or again."""
    REQUEST = "request"
    """Key: the request's row id."""


Target = tuple[HoldScope, str]
"""A scope with its key: what a hold is on. The key of `all` is empty."""

EVERYTHING: Target = (HoldScope.ALL, "")


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold; the fields are the columns of its table."""

    id: int
    account: str
    kind: HoldKind
    scope: HoldScope
    scope_key: str
    reason: str
    placed_by: str
    placed_at_ms: int
    active: bool
    released_by: str | None = None
    released_at_ms: int | None = None
    release_reason: str | None = None

    @property
    def target(self) -> Target:
        """What it is on."""
        return self.scope, self.scope_key


def targets_of(request: PayoutRequest) -> tuple[Target, ...]:
    """Everything that a hold on would stop this request, the widest first."""
    return (
        EVERYTHING,
        (HoldScope.CURRENCY, request.currency),
        (HoldScope.PARTNER, str(request.partner_id)),
        (HoldScope.ACCOUNT, request.account),
        (HoldScope.REQUEST, str(request.id)),
    )


def named(target: Target) -> str:
    """What is held, for people."""
    scope, key = target
    if scope == HoldScope.REQUEST:
        return public_id(int(key))
    return "everything" if target == EVERYTHING else f"{scope} {key}"


class ActiveHolds:
    """The active holds that matter to a set of requests."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        self._by_target: dict[Target, list[Hold]] = {}
        for hold in holds:
            self.add(hold)

    def add(self, hold: Hold) -> None:
        """Count one more."""
        self._by_target.setdefault(hold.target, []).append(hold)

    def on(self, request: PayoutRequest) -> Hold | None:
        """The hold that stops `request`, the kill switch before all others; None where there is none."""
        found = [hold for target in targets_of(request) for hold in self._by_target.get(target, [])]
        return min(found, key=lambda hold: _ORDER.index(hold.kind), default=None)

    def of(self, kind: HoldKind, target: Target) -> Hold | None:
        """The hold of one kind on exactly this target."""
        return next((hold for hold in self._by_target.get(target, []) if hold.kind == kind), None)


_ORDER = list(HoldKind)
