"""Stripe's list of addresses is taken only where it can be one."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from payouts.addresses import network_text, parse_networks
from payouts.stripe_addresses import MAX_BYTES, SNAPSHOT, ImplausibleListError, ask_list, read_list

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
        (listed([*KNOWN, *(f"52.1.{n // 200}.{n % 200}" for n in range(300))]), "315 addresses"),
        (listed([*KNOWN, "0.0.0.0/0"]), "0.0.0.0/0"),
        (listed([*KNOWN, "52.0.0.0/8"]), "52.0.0.0/8"),
        (listed([*KNOWN, "10.0.0.1"]), "10.0.0.1"),
        (listed([*KNOWN, "127.0.0.1"]), "127.0.0.1"),
        (listed([*KNOWN, "example.com"]), "example.com"),
        (listed(["52.1.1.1", "52.1.1.2", "52.1.1.3", "52.1.1.4", *KNOWN[:5]]), "only 5 of the 15"),
    ],
)
def test_what_cannot_be_stripes_list_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ImplausibleListError, match=why):
        read_list(content, SNAPSHOT)


def test_what_was_read_last_is_what_the_next_list_is_compared_with() -> None:
    moved = parse_networks("52.1.1.1,52.1.1.2,52.1.1.3,52.1.1.4")
    assert len(read_list(listed(["52.1.1.1", "52.1.1.2", "52.1.1.5", "52.1.1.6"]), moved)) == 4


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"


@contextmanager
def answering(head: bytes, then: bytes = b"", *, drips: bool = False) -> Iterator[str]:
    """A server that answers one request with these bytes; then a byte now and then, until it is left."""
    left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as caller:
                caller.recv(65_536)
                caller.sendall(head + then)
                while drips and not left.wait(0.05):
                    caller.sendall(b"x")

        work = threading.Thread(target=serve, daemon=True)
        work.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        left.set()
        work.join(30)
        assert not work.is_alive()


def test_what_is_answered_is_read() -> None:
    body = listed(KNOWN)
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body) as url:
        assert ask_list(url) == body


@pytest.mark.parametrize("head", [OK + b"X: ", OK + b"\r\n"], ids=["header", "body"])
def test_whoever_answers_byte_by_byte_is_not_waited_for(head: bytes) -> None:
    with (
        answering(head, drips=True) as url,
        pytest.raises(TimeoutError, match=r"no whole answer within 0\.5 s"),
    ):
        ask_list(url, within_s=0.5)


def test_more_than_such_a_list_can_have_is_not_read() -> None:
    with (
        answering(OK + b"\r\n", b" " * (MAX_BYTES + 1)) as url,
        pytest.raises(ImplausibleListError, match="larger than 65536 bytes"),
    ):
        ask_list(url)


def test_a_refusal_and_a_way_elsewhere_are_no_list() -> None:
    away = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with answering(away) as url, pytest.raises(ImplausibleListError, match="status 302"):
        ask_list(url)
