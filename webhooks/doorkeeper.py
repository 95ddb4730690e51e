"""Who is not answered here, and who has sent too much without a good signature.

A good signature is never limited, and no block keeps it out, whatever its address has sent before: where a
proxy in front is not named in TRUSTED_PROXIES, rubbish and Stripe's events come from one address. So what is
limited is the refusal: over the limit it is a 429, for who is blocked a 403, on a connection that is closed,
and neither leaves a line in the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from payouts.addresses import counted_as
from payouts.blocks import Block
from payouts.guard import BlockedError, Guard
from payouts.logs import get_logger
from payouts.rates import Rate
from payouts.rejections import Rejections


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Knows callers by their address. Asks nobody: what it knows is brought to it from time to time."""

    guard: Guard
    rejections: Rejections
    _told: set[int] = field(default_factory=set)
    """The blocks of which it was said that what is signed comes from there."""

    def block_of(self, scope: Mapping[str, Any]) -> Block | None:
        """The block that the sender is in: only what it has signed is taken from it."""
        if not self.guard.decided.blocks:  # as a rule: no delivery need be looked at
            return None
        return self.guard.block_of(self.guard.address_of(scope))

    def blocked(self, scope: Mapping[str, Any], block: Block) -> BlockedError:
        """Count a delivery that is refused for a block; what its sender is told."""
        self.guard.note_blocked()
        return BlockedError(self.guard.address_of(scope), block)

    def taken(self, scope: Mapping[str, Any], block: Block) -> None:
        """Something signed came from a blocked address, and was taken: said once of each block."""
        if block.id not in self._told:
            self._told.add(block.id)
            get_logger().warning(
                "webhook.signed_though_blocked",
                network=block.network,
                client=self.guard.address_of(scope),
                next="taken; if it is a proxy, lift the block and name the proxy in TRUSTED_PROXIES",
            )

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
