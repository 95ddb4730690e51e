"""Stripe's list of addresses is taken only where it can be one."""

import json
from collections.abc import Sequence

import pytest

from payouts.addresses import network_text, parse_networks
from payouts.stripe_addresses import SNAPSHOT, ImplausibleListError, read_list

KNOWN = [network_text(each) for each in SNAPSHOT]


def listed(addresses: Sequence[object]) -> bytes:
    return json.dumps({"WEBHOOKS": addresses}).encode()


def test_a_list_with_a_few_new_addresses_is_taken() -> None:
    found = read_list(listed([*KNOWN[2:], "52.21.26.131", "52.88.82.0/28"]), SNAPSHOT)
    assert found.cover("52.21.26.131")
    assert found.cover("52.88.82.15")
    assert not found.cover(KNOWN[0])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>sign in to the network</html>", "no JSON"),
        (b"[]", "WEBHOOKS"),
        (b'{"WEBHOOKS": {"3.18.12.63": 1}}', "WEBHOOKS"),
        (listed([1, 2, 3, 4]), "WEBHOOKS"),
        (listed([]), "0 addresses"),
        (listed(KNOWN[:2] * 8), "2 addresses"),
        (listed([*KNOWN, *(f"52.1.{n // 200}.{n % 200}" for n in range(300))]), "312 addresses"),
        (listed([*KNOWN, "0.0.0.0/0"]), "0.0.0.0/0"),
        (listed([*KNOWN, "52.0.0.0/8"]), "52.0.0.0/8"),
        (listed([*KNOWN, "10.0.0.1"]), "10.0.0.1"),
        (listed([*KNOWN, "127.0.0.1"]), "127.0.0.1"),
        (listed([*KNOWN, "example.com"]), "example.com"),
        (listed(["52.1.1.1", "52.1.1.2", "52.1.1.3", "52.1.1.4", *KNOWN[:5]]), "only 5 of the 12"),
    ],
)
def test_what_cannot_be_stripes_list_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ImplausibleListError, match=why):
        read_list(content, SNAPSHOT)


def test_what_was_read_last_is_what_the_next_list_is_compared_with() -> None:
    moved = parse_networks("52.1.1.1,52.1.1.2,52.1.1.3,52.1.1.4")
    assert len(read_list(listed(["52.1.1.1", "52.1.1.2", "52.1.1.5", "52.1.1.6"]), moved)) == 4
