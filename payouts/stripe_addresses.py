"""The addresses that Stripe sends webhooks from: as it publishes them, or as they were when this was built.

Who sends from there is never limited and cannot be blocked. No event is trusted for its address: that is what
the signature is for. So a list that is out of date costs at most a refusal of rubbish.
"""

import asyncio
from typing import Any

import msgspec

from payouts.addresses import Networks, network_text, parse_network
from payouts.errors import PayoutsError

SNAPSHOT = Networks(
    parse_network(address)
    for address in (
        *("3.18.12.63", "3.69.109.8", "3.120.168.93", "3.130.192.231", "13.235.14.237"),
        *("13.235.122.149", "18.211.135.69", "35.154.171.200", "35.157.207.129", "52.15.183.38"),
        *("54.88.130.119", "54.88.130.237", "54.187.174.169", "54.187.205.235", "54.187.216.72"),
    )
)
"""As of September 2026."""
FEWEST, MOST = 4, 256
PREFIX_LEAST = {4: 24, 6: 48}
WITHIN_S = 10.0
"""Of the whole fetch, from the name's lookup to the last byte."""
MAX_BYTES = 64 * 1024
_KEPT_AT_LEAST = 0.5


class ImplausibleListError(PayoutsError):
    """What was read cannot be Stripe's list of addresses; the one that is known stays."""


def read_list(content: bytes, known: Networks) -> Networks:
    """The addresses of a list in Stripe's form, `{"WEBHOOKS": ["3.18.12.63", …]}`.

    ImplausibleListError where it is of another form or size, names what is no public address or a large
    network, or shares less than half of what is `known`: Stripe changes its list rarely, and a few at a time.
    """
    try:
        said: Any = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise ImplausibleListError(f"it is no JSON: {error}") from None
    listed = said.get("WEBHOOKS") if isinstance(said, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ImplausibleListError('it has no list of addresses under "WEBHOOKS"')
    if not FEWEST <= len(set(listed)) <= MOST:
        raise ImplausibleListError(f"it has {len(set(listed))} addresses, not {FEWEST} to {MOST}")
    try:
        found = Networks(parse_network(each) for each in sorted(set(listed)))
    except ValueError as error:
        raise ImplausibleListError(str(error)) from None
    for network in found:
        if not network.is_global or network.is_multicast or network.prefixlen < PREFIX_LEAST[network.version]:
            raise ImplausibleListError(f"{network_text(network)} is no public address, or a large network")
    kept = sum(1 for network in known if found.overlapping(network) is not None)
    if kept < len(known) * _KEPT_AT_LEAST:
        raise ImplausibleListError(f"only {kept} of the {len(known)} addresses known so far are in it")
    return found


def ask_list(url: str, within_s: float = WITHIN_S) -> bytes:
    """What `url` answers. Raises ImplausibleListError for what is no answer of such a list, OSError or
    httpx.HTTPError where there is none in time."""
    try:
        return asyncio.run(_ask(url, within_s))
    except TimeoutError:
        raise TimeoutError(f"there is no whole answer within {within_s:g} s") from None


async def _ask(url: str, within_s: float) -> bytes:
    # In an event loop for its time limit: it holds for all of it, where one for each read begins anew with
    # each byte. Not compressed: a few bytes could grow to gigabytes before they are counted.
    import httpx

    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(within_s),
        httpx.AsyncClient(timeout=within_s, follow_redirects=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if answer.status_code != 200:
            raise ImplausibleListError(f"it was answered with status {answer.status_code}")
        content = b""
        async for chunk in answer.aiter_raw():
            content += chunk
            if len(content) > MAX_BYTES:
                raise ImplausibleListError(f"it is larger than {MAX_BYTES} bytes")
    return content
