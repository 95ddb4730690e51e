"""What a server knows of those who ask it: who they are, whether they are blocked, how much they may ask.

What people decide is in the database. Each process reads it every few seconds, and goes on with what it knew
last while the database is away: no request waits for it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy.exc import SQLAlchemyError

from payouts.addresses import LOOPBACK, Networks, caller_address, counted_as
from payouts.blocks import Block, Decided
from payouts.clock import Clock, iso
from payouts.errors import PayoutsError, RefusedError
from payouts.every import every
from payouts.logs import get_logger
from payouts.meters import BLOCKED, LIMITS, Counter, Totals
from payouts.rate_limiter import RateLimiter
from payouts.rates import Rate, RateLimits, RouteGroup
from payouts.rejections import SHARE_EVERY_S, Rejections
from payouts.stripe_addresses import SNAPSHOT

LOOK_EVERY_S = 3.0
"""How old what a process knows of blocks and raised limits may be, while the database answers."""
_FORWARDED_FOR = b"x-forwarded-for"


class BlockedError(RefusedError):
    """The address that asks is blocked."""

    def __init__(self, address: str, block: Block) -> None:
        super().__init__(
            "address_blocked",
            f"requests from {address} are not answered, until {iso(block.until_ms)}: "
            "ask those who run this service if you think that this is wrong",
        )


@dataclass(slots=True)
class Guard:
    """What a server lets in. Safe to share between threads."""

    role: str
    trusted: Networks
    limits: RateLimits
    """As they are set; what is raised comes on top."""
    limiter: RateLimiter
    read: Callable[[int], Decided]
    """Reads what is decided, as of a time in ms. Raises what a database that is away raises."""
    clock: Clock
    decided: Decided = field(default_factory=Decided)
    families: ClassVar = (LIMITS, BLOCKED)
    _hits: Counter = field(default_factory=lambda: Counter(LIMITS))
    _blocked: Counter = field(default_factory=lambda: Counter(BLOCKED))
    _was_away: bool = False

    def address_of(self, scope: Mapping[str, Any]) -> str:
        """Whom an ASGI request comes from."""
        client = scope.get("client")
        peer = client[0] if client else None
        if not self.trusted:
            return caller_address(peer, (), self.trusted)
        said = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == _FORWARDED_FOR]
        return caller_address(peer, said, self.trusted)

    def check_block(self, address: str) -> None:
        """BlockedError where `address` is blocked, which is counted."""
        block = self.block_of(address)
        if block is not None:
            self.note_blocked()
            raise BlockedError(address, block)

    def block_of(self, address: str) -> Block | None:
        """The block that an address is in. Stripe, this machine and trusted proxies never are in one."""
        decided = self.decided
        if not decided.networks.cover(address) or self.is_kept(address):
            return None
        return decided.block_of(address, self.clock())

    def note_blocked(self) -> None:
        """Count a refusal for a block in the meters."""
        self._blocked.add({(self.role,): 1})

    def is_kept(self, address: str) -> bool:
        """Whether an address is one of those that are never blocked."""
        return self.is_stripe(address) or self.trusted.cover(address) or LOOPBACK.cover(address)

    def is_stripe(self, address: str) -> bool:
        """Whether Stripe sends webhooks from there, as it publishes."""
        return (self.decided.stripe or SNAPSHOT).cover(address)

    def limit_of(self, group: RouteGroup) -> int:
        """How many a minute allows now; 0: any number."""
        limit = self.limits.get(group, 0)
        if limit and self.decided.raises:
            now_ms = self.clock()
            raised = [
                each.most
                for each in self.decided.raises
                if each.route_group == group and each.until_ms > now_ms
            ]
            return max([limit, *raised])
        return limit

    def hit(self, group: RouteGroup, key: str) -> Rate | None:
        """Count a request of `key` in Redis, and where it stands now; None where there is no limit."""
        limit = self.limit_of(group)
        if not limit:
            return None
        rate = self.limiter.hit(group, key, limit)
        if not rate.allowed:
            self.note_hit(group)
        return rate

    def hit_address(self, group: RouteGroup, address: str) -> Rate | None:
        """As `hit`, by address. Stripe's are never limited."""
        return None if self.is_stripe(address) else self.hit(group, counted_as(address))

    def note_hit(self, group: RouteGroup) -> None:
        """Count a refusal for a limit in the meters."""
        self._hits.add({(self.role, str(group)): 1})

    def rejections(self, group: RouteGroup) -> Rejections:
        """What counts the rejections of a route group."""
        return Rejections(self.limiter, group, lambda: self.limit_of(group))

    def totals(self) -> Totals:
        """Requests that were refused, by role: for a limit, with its route group; for a block."""
        return {**self._hits.totals(), **self._blocked.totals()}

    def look(self) -> None:
        """Read what is decided. While the database is away, what was known last stays."""
        try:
            self.decided = self.read(self.clock())
        except (SQLAlchemyError, PayoutsError, OSError, ValueError) as error:
            if not self._was_away:
                get_logger().warning("guard.not_read", error=str(error)[:300], next="as known last")
            self._was_away = True
        else:
            self._was_away = False


def looking(guard: Guard) -> AbstractAsyncContextManager[None]:
    """While a server's event loop runs: its guard is kept up to date."""
    return every(LOOK_EVERY_S, guard.look)


def sharing(rejections: Rejections) -> AbstractAsyncContextManager[None]:
    """While a server's event loop runs: what it rejects is shared with the other processes."""
    return every(SHARE_EVERY_S, rejections.share)
