"""Addresses of callers: parsed, compared with networks, and found behind proxies that are trusted. Pure.

A proxy adds whom it was asked by at the right of `X-Forwarded-For`; what stands left of that, it was told.
So the header is read from the right, over proxies of ours alone: the first address that is none of them is
the caller's, and whatever it wrote itself is left of it. `Forwarded` is not read: a proxy that writes only
the other header hands it on as the caller sent it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
"""Of a caller without an address, as over a Unix socket."""
HOPS_MOST = 32
"""More proxies than this stand in front of nobody."""
_V6_HOST_BITS = 64
"""One customer has at least a /64 of IPv6, and every address in it."""


class Networks:
    """A set of networks that is asked often: one look in a set for each size of network in it."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._sizes: dict[tuple[int, int], set[int]] = {}
        for network in self._networks:
            shift = network.max_prefixlen - network.prefixlen
            found = self._sizes.setdefault((network.version, shift), set())
            found.add(int(network.network_address) >> shift)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def cover(self, text: str) -> bool:
        """Whether an address is in one of them; what is no address is in none."""
        if not self._networks:
            return False
        address = parse_address(text)
        if address is None:
            return False
        number = int(address)
        return any(
            version == address.version and number >> shift in found
            for (version, shift), found in self._sizes.items()
        )

    def covering(self, text: str) -> Iterator[Network]:
        """Those of them that an address is in."""
        address = parse_address(text) if self._networks else None
        if address is None:
            return
        number, most = int(address), address.max_prefixlen
        for (version, shift), found in self._sizes.items():
            if version == address.version and number >> shift in found:
                yield ip_network((number >> shift << shift, most - shift))

    def overlapping(self, network: Network) -> Network | None:
        """One of them that has an address in common with `network`."""
        return next((each for each in self._networks if _overlap(each, network)), None)


LOOPBACK = Networks([ip_network("127.0.0.0/8"), ip_network("::1/128")])


@lru_cache(maxsize=8192)
def parse_address(text: str) -> Address | None:
    """An address; an IPv4 one that is written as ::ffff:192.0.2.1 is IPv4. None for no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_network(text: str) -> Network:
    """A network, or an address as the network of it alone. ValueError, with what to write, for neither."""
    said = text.strip()
    try:
        network = ip_network(said)
    except ValueError:
        hint = ""
        try:
            hint = f": did you mean {ip_network(said, strict=False)}?"
        except ValueError:
            hint = ", as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/48"
        raise ValueError(f"{said[:60]!r} is no address or network{hint}") from None
    if isinstance(network, IPv6Network) and network.prefixlen == network.max_prefixlen:
        mapped = network.network_address.ipv4_mapped
        return IPv4Network(mapped) if mapped else network
    return network


def parse_networks(text: str) -> Networks:
    """Networks separated by commas. ValueError as `parse_network`."""
    return Networks(parse_network(part) for part in text.split(",") if part.strip())


def network_text(network: Network) -> str:
    """How people write it: an address alone without its size."""
    whole = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if whole else str(network)


def counted_as(address: str) -> str:
    """What a caller is counted by: its address, for IPv6 the /64 that it is in."""
    found = parse_address(address)
    if not isinstance(found, IPv6Address):
        return str(found) if found else address[:64]
    network = int(found) >> _V6_HOST_BITS << _V6_HOST_BITS
    return f"{IPv6Address(network)}/64"


def caller_address(peer: str | None, forwarded_for: Sequence[str], trusted: Networks) -> str:
    """The address of whoever sent a request.

    `peer`: the other end of the connection. `forwarded_for`: the values of every `X-Forwarded-For`, in the
    order they came in. They count only where the peer is trusted, and from the right as far as each hop is.
    A hop that is no address ends the walk at the last proxy: what stands left of it, nobody vouches for.
    """
    if peer is None:
        return UNKNOWN
    address = str(parse_address(peer) or peer)
    if not trusted or not forwarded_for or not trusted.cover(address):
        return address
    hops = ",".join(forwarded_for).rsplit(",", HOPS_MOST)
    for hop in reversed(hops):
        found = parse_address(_without_port(hop.strip()))
        if found is None:
            break
        address = str(found)
        if not trusted.cover(address):
            break
    return address


def _without_port(hop: str) -> str:
    # As 192.0.2.1:4711 or [2001:db8::1]:4711, which some proxies write.
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    head, colon, _ = hop.partition(":")
    return head if colon and "." in head else hop


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
