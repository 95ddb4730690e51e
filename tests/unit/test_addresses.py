"""Whom a request comes from: only proxies of ours are believed, and only as far as they can know."""

import pytest

from payouts.addresses import (
    HOPS_MOST,
    Networks,
    caller_address,
    counted_as,
    network_text,
    parse_network,
    parse_networks,
)

PROXIES = parse_networks("10.0.0.0/8, 192.0.2.10, 2001:db8:ff::/48")


def test_without_a_trusted_proxy_the_header_is_not_believed() -> None:
    assert caller_address("203.0.113.9", ["198.51.100.1"], Networks()) == "203.0.113.9"
    assert caller_address("203.0.113.9", ["198.51.100.1"], PROXIES) == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "said", "found"),
    [
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("192.0.2.10", ["198.51.100.1:4711"], "198.51.100.1"),
        ("2001:db8:ff::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("2001:db8:ff::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_a_trusted_proxy_says_whom_it_was_asked_by(peer: str | None, said: list[str], found: str) -> None:
    assert caller_address(peer, said, PROXIES) == found


@pytest.mark.parametrize(
    "said",
    [
        ["1.1.1.1, 198.51.100.1"],
        ["1.1.1.1", "198.51.100.1"],
        ["10.0.0.9, 198.51.100.1, 10.0.0.2"],
        ["127.0.0.1, 198.51.100.1"],
        ["3.18.12.63,198.51.100.1"],
        [", ".join(["10.0.0.9"] * 500) + ", 198.51.100.1"],
    ],
)
def test_what_a_caller_writes_itself_into_the_header_changes_nothing(said: list[str]) -> None:
    assert caller_address("10.0.0.1", said, PROXIES) == "198.51.100.1"


@pytest.mark.parametrize(
    "said", [["1.1.1.1, unknown"], ["1.1.1.1, "], ["1.1.1.1, <script>"], ["1.1.1.1, 300.1.1.1"]]
)
def test_behind_a_hop_that_is_no_address_nobody_is_believed(said: list[str]) -> None:
    assert caller_address("10.0.0.1", said, PROXIES) == "10.0.0.1"


def test_more_hops_than_there_are_proxies_end_the_walk_at_a_proxy() -> None:
    said = ["1.1.1.1, " + ", ".join(["10.0.0.2"] * (HOPS_MOST + 5))]
    assert PROXIES.cover(caller_address("10.0.0.1", said, PROXIES))


def test_one_host_of_ipv6_is_counted_by_its_network() -> None:
    assert counted_as("2001:db8:1:2:3:4:5:6") == counted_as("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert counted_as("2001:db8:1:3::9") != counted_as("2001:db8:1:2::9")
    assert counted_as("203.0.113.9") == "203.0.113.9"


def test_networks_cover_their_addresses_alone() -> None:
    some = parse_networks("203.0.113.0/24,198.51.100.7,2001:db8::/32")
    assert [some.cover(each) for each in ("203.0.113.255", "198.51.100.7", "2001:db8:9::1")] == [True] * 3
    assert [some.cover(each) for each in ("203.0.114.1", "198.51.100.8", "2001:db9::1", "testclient")] == [
        False
    ] * 4
    assert some.cover("::ffff:203.0.113.9")


@pytest.mark.parametrize(
    ("text", "said"),
    [("203.0.113.7/24", "did you mean 203.0.113.0/24"), ("example.com", "as 203.0.113.7"), ("", "as 203")],
)
def test_what_is_no_network_is_told_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_network(text)


def test_an_address_is_written_without_its_size() -> None:
    written = [network_text(parse_network(each)) for each in ("203.0.113.7", "203.0.113.0/24", "2001:DB8::1")]
    assert written == ["203.0.113.7", "203.0.113.0/24", "2001:db8::1"]
