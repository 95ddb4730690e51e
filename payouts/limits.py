"""Limits: how little, how much and how fast. None is set by default. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from payouts.money import format_money


class LimitKind(StrEnum):
    """What a limit is about."""

    MINIMUM = "minimum"
    """The smallest payout that can be requested."""
    APPROVAL = "approval"
    """From this amount on a second person must approve."""
    DAILY = "daily"
    """The most that can be requested for one partner on one day (UTC)."""
    VELOCITY_AMOUNT = "velocity_amount"
    """The most that may go out in one currency within the window; one more stops the currency."""
    VELOCITY_COUNT = "velocity_count"
    """The most payouts that may go out within the window; one more stops everything."""
    PARTNER_VELOCITY = "partner_velocity"
    """The most that may go out to one partner within the window; one more stops the partner."""


WITH_WINDOW = frozenset({LimitKind.VELOCITY_AMOUNT, LimitKind.VELOCITY_COUNT, LimitKind.PARTNER_VELOCITY})
COUNTED = frozenset({LimitKind.VELOCITY_COUNT})
"""Kinds whose value is a number of payouts; the others' is minor units of a currency."""
FOR_ONE_PARTNER = frozenset(
    {LimitKind.MINIMUM, LimitKind.APPROVAL, LimitKind.DAILY, LimitKind.PARTNER_VELOCITY}
)
"""Kinds that can be set for a partner, in place of the one for all."""
MINUTE_S = 60
MOST_WINDOW_S = 7 * 24 * 3600
"""What went out is counted by the minute and kept a little longer than this."""


class LimitScope(StrEnum):
    """Whom a limit is for."""

    ALL = "all"
    PARTNER = "partner"
    """Key: the partner's row id."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit; the fields are the columns of its table."""

    id: int
    account: str
    kind: LimitKind
    scope: LimitScope
    scope_key: str
    currency: str
    """Empty for a number of payouts, whatever their currency."""
    value: int
    window_s: int
    set_by: str
    set_at_ms: int


def value_text(limit: Limit) -> str:
    """How much a limit is, for people: `500.00 EUR`, `20 payouts`."""
    if limit.kind in COUNTED:
        return f"{limit.value} payouts"
    return format_money(limit.value, limit.currency)


def window_text(window_s: int) -> str:
    """A window, for people: `90 min`, `24 h`."""
    hours, rest = divmod(window_s, 3600)
    return f"{hours} h" if hours and not rest else f"{window_s // MINUTE_S} min"


class Limits:
    """A few limits, looked up by what they are about."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._by_key = {(limit.kind, limit.scope_key, limit.currency): limit for limit in limits}

    def of(self, kind: LimitKind, partner_id: int, currency: str) -> Limit | None:
        """The limit that counts for a partner: its own, else the one for all; None where none is set."""
        code = "" if kind in COUNTED else currency
        return self._by_key.get((kind, str(partner_id), code)) or self._by_key.get((kind, "", code))

    @property
    def with_window(self) -> list[Limit]:
        """Those that look at what went out."""
        return [limit for limit in self._by_key.values() if limit.kind in WITH_WINDOW]
