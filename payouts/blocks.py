"""Blocks of addresses and raised rate limits: what each is, and what may not be blocked. Pure.

Both end by themselves: whoever acts in an incident has no time to come back for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from payouts.addresses import LOOPBACK, Network, Networks, network_text, parse_network
from payouts.errors import RefusedError
from payouts.rates import RouteGroup

DAY_MS = 24 * 3_600_000
BLOCK_MOST_MS = 90 * DAY_MS
RAISE_MOST_MS = 7 * DAY_MS
RAISE_MOST = 1_000_000
"""A minute. Above it the service itself is the limit."""
NEAR = Networks(
    parse_network(text)
    for text in (
        *("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
)
"""Networks of one's own. Whoever seems to ask from there is most often a proxy that TRUSTED_PROXIES lacks,
with everybody behind it, Stripe too."""
PREFIX_LEAST = {4: 8, 6: 19}
"""The largest network that can be blocked, by the version of the protocol: what one provider may have."""


@dataclass(frozen=True, slots=True)
class Block:
    """An address or a network that is not answered; the fields are the columns of its table."""

    id: int
    account: str
    open_key: str | None
    """The network, while it is neither lifted nor over."""
    network: str
    until_ms: int
    reason: str
    blocked_at_ms: int
    blocked_by: str
    lifted_at_ms: int | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Raise:
    """A limit that allows more for a while; the fields are the columns of its table."""

    id: int
    account: str
    open_key: str | None
    """The route group, while it is neither lowered again nor over."""
    route_group: RouteGroup
    most: int
    """So many a minute."""
    until_ms: int
    reason: str
    raised_at_ms: int
    raised_by: str
    lowered_at_ms: int | None = None
    lowered_by: str | None = None
    lower_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What people decided and Stripe published, as it was read last."""

    blocks: Sequence[Block] = ()
    raises: Sequence[Raise] = ()
    stripe: Networks | None = None
    """None: the list was never refreshed; then the one that came with this version counts."""
    networks: Networks = field(default_factory=Networks)
    """Those of `blocks`."""
    by_network: Mapping[Network, Block] = field(default_factory=dict)
    """The blocks, to be found at once however many there are."""

    @classmethod
    def of(cls, blocks: Sequence[Block], raises: Sequence[Raise], stripe: Networks | None) -> "Decided":
        """The same, ready to be asked."""
        by_network = {parse_network(block.network): block for block in blocks}
        return cls(blocks, raises, stripe, Networks(by_network), by_network)

    def block_of(self, address: str, now_ms: int) -> Block | None:
        """A block that an address is in; None where it is in none that counts at that time."""
        found = (self.by_network[network] for network in self.networks.covering(address))
        return next((block for block in found if block.until_ms > now_ms), None)


def check_network(text: str, stripe: Networks, trusted: Networks) -> Network:
    """The network that is to be blocked. RefusedError for none, one too large, or one that must not be."""
    try:
        network = parse_network(text)
    except ValueError as error:
        raise RefusedError("bad_address", str(error)) from None
    least = PREFIX_LEAST[network.version]
    if network.prefixlen < least:
        raise RefusedError(
            "bad_address",
            f"{network} is too large to be blocked: /{least} is the largest of IPv{network.version}",
        )
    for kept, what in (
        (LOOPBACK, "this machine itself"),
        (trusted, "a proxy of TRUSTED_PROXIES: it would block everybody behind it"),
        (stripe, "Stripe's: its webhooks come from there"),
    ):
        found = kept.overlapping(network)
        if found is not None:
            said = f"{network_text(network)} cannot be blocked: {network_text(found)} is {what}"
            raise RefusedError("not_blockable", said)
    return network
