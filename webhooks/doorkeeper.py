"""Who is not answered here, and who has sent too much without a good signature.

A good signature is never limited, whatever its address has sent before: where a proxy in front is not named
in TRUSTED_PROXIES, rubbish and Stripe's events come from one address. So what is limited is the refusal: over
the limit it is a 429 on a connection that is closed, and leaves no line in the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payouts.addresses import counted_as
from payouts.guard import Guard
from payouts.rates import Rate
from payouts.rejections import Rejections


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Knows callers by their address. Asks nobody: what it knows is brought to it from time to time."""

    guard: Guard
    rejections: Rejections

    @property
    def blocks(self) -> bool:
        """Whether any address is blocked: if none is, no delivery need be looked at."""
        return bool(self.guard.decided.blocks)

    def check(self, scope: Mapping[str, Any]) -> None:
        """BlockedError where the sender is blocked."""
        self.guard.check_block(self.guard.address_of(scope))

    def rejected(self, address: str) -> Rate | None:
        """Count a delivery that was refused; where its sender stands if it was over the limit before."""
        if self.guard.is_stripe(address):
            return None
        key = counted_as(address)
        rate = self.rejections.over(key)
        if rate is None:
            self.rejections.count(key)
        else:
            self.guard.note_hit(rate.group)
        return rate
