"""Slow senders at the receiver and the API: they are cut off in time, and hold nobody else up."""

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.lives import event_body, payout_object
from tests.support.servers import RedisServer, free_port, wait_until
from tests.support.stack import PATH, Stack, signature

CUT_OFF_WITHIN_S = 24.0
"""10 s for the header, then 10 s for the body, and a little for two busy cores."""

_POST = b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: here\r\n"
_SIGNED = _POST + b"Stripe-Signature: t=1,v1=0\r\n"
_HEALTH = b"GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n"
_LENGTH = b"Content-Length: 1000\r\n\r\n"
_LIVE = b"GET /api/v1/live HTTP/1.1\r\nHost: here\r\n\r\n"
_ASK = b"POST /api/v1/payouts HTTP/1.1\r\nHost: here\r\n"

KINDS: dict[str, tuple[int, bytes, bytes]] = {
    # how many sockets, what each says first, what each says again and again
    "a header that never ends": (80, _POST, b"X-A: b\r\n"),
    "a body that never ends": (60, _SIGNED + _LENGTH, b"x"),
    "a chunked body that never ends": (30, _SIGNED + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "nothing at all": (10, b"", b""),
    "a header that never ends, after an honest request": (10, _HEALTH + _POST, b"X-A: b\r\n"),
    "a body that never ends, on a wrong path": (5, _POST.replace(b"stripe", b"nobody") + _LENGTH, b"x"),
    "a body that never ends, already refused": (5, _POST + b"Stripe-Signature: t=1\r\n" * 2 + _LENGTH, b"x"),
}

AT_THE_API: dict[str, tuple[int, bytes, bytes]] = {
    "API: a header that never ends": (80, _ASK, b"X-A: b\r\n"),
    "API: nothing at all": (10, b"", b""),
    "API: a header that never ends, after an honest request": (10, _LIVE + _ASK, b"X-A: b\r\n"),
    "API: a body that never ends, already refused": (10, _ASK + _LENGTH, b"x"),
}


class Sender:
    """One slow sender: says a little every now and then until it is cut off."""

    def __init__(self, port: int, kind: str) -> None:
        _, first, self.again = (KINDS | AT_THE_API)[kind]
        self.kind = kind
        self.began = time.monotonic()
        self.cut_after_s: float | None = None
        self.heard = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.sendall(first)
        self.socket.setblocking(False)

    def step(self) -> None:
        """Say a little more, and note when the other side is gone."""
        if self.cut_after_s is not None:
            return
        try:
            with contextlib.suppress(BlockingIOError):
                self.socket.send(self.again)
            with contextlib.suppress(BlockingIOError):
                while chunk := self.socket.recv(65536):
                    self.heard += chunk
                self._end()
        except ConnectionError:
            self._end()

    def _end(self) -> None:
        self.cut_after_s = time.monotonic() - self.began
        self.socket.close()


class Trial:
    """What came of two hundred slow senders at the receiver, more at the API, and of honest ones."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api_port = free_port()
        self.honest: list[tuple[int, float]] = []
        self.honest_at_the_api: list[tuple[int, float]] = []
        self.senders: list[Sender] = []
        self.stack.launch("api", "api", API_PORT=str(self.api_port))
        wait_until("the API answers", self._api_answers)

    def begin(self) -> None:
        for port, kinds in ((self.stack.port, KINDS), (self.api_port, AT_THE_API)):
            senders = [(port, kind) for kind, (count, _, _) in kinds.items() for _ in range(count)]
            with ThreadPoolExecutor(8) as pool:
                self.senders += pool.map(lambda sender: Sender(*sender), senders)

    def run(self) -> None:
        end = time.monotonic() + CUT_OFF_WITHIN_S
        while time.monotonic() < end and any(sender.cut_after_s is None for sender in self.senders):
            for sender in self.senders:
                sender.step()
            self._deliver_one()
            self._ask_one()
            time.sleep(0.4)

    def _deliver_one(self) -> None:
        body = event_body(f"evt_honest{len(self.honest)}", "paid", payout_object("po_honest", "paid"))
        began = time.monotonic()
        status = self.stack.post(body).status_code
        self.honest.append((status, time.monotonic() - began))

    def _ask_one(self) -> None:
        began = time.monotonic()
        status = httpx.get(f"http://127.0.0.1:{self.api_port}/api/v1/live", timeout=10).status_code
        self.honest_at_the_api.append((status, time.monotonic() - began))

    def _api_answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.api_port}/api/v1/live", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        for sender in self.senders:
            sender.socket.close()


@pytest.fixture(scope="module")
def trial(_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    folder = tmp_path_factory.mktemp("slow")
    with Stack(folder, f"sqlite:///{folder / 'payouts.db'}", _redis.url) as stack:
        stack.start("receiver")
        trial = Trial(stack)
        trial.begin()
        trial.run()
        yield trial
        trial.close()


def test_honest_deliveries_beside_two_hundred_slow_senders_take_less_than_a_second(trial: Trial) -> None:
    assert sum(sender.kind in KINDS for sender in trial.senders) == 200
    assert len(trial.honest) > 10
    assert {status for status, _ in trial.honest} == {200}
    assert max(seconds for _, seconds in trial.honest) < 1
    assert trial.stack.count("SELECT COUNT(*) FROM inbox") == len(trial.honest)


def test_the_api_answers_within_a_second_beside_a_hundred_slow_senders(trial: Trial) -> None:
    assert sum(sender.kind in AT_THE_API for sender in trial.senders) == 110
    assert len(trial.honest_at_the_api) > 10
    assert {status for status, _ in trial.honest_at_the_api} == {200}
    assert max(seconds for _, seconds in trial.honest_at_the_api) < 1


@pytest.mark.parametrize("kind", KINDS | AT_THE_API)
def test_a_slow_sender_is_cut_off_in_time(trial: Trial, kind: str) -> None:
    held = [sender for sender in trial.senders if sender.kind == kind and sender.cut_after_s is None]
    assert len(held) == 0, f"{len(held)} connections still open after {CUT_OFF_WITHIN_S} s"


def test_a_sender_of_a_slow_body_is_told_why(trial: Trial) -> None:
    for sender in trial.senders:
        if sender.kind == "a body that never ends":
            assert sender.heard.startswith(b"HTTP/1.1 408 "), sender.heard
            assert b'{"error": "the body did not arrive within' in sender.heard


@pytest.mark.parametrize("first", [b"", _HEALTH], ids=["first request", "second request"])
def test_a_header_without_end_is_cut_off_by_its_size(trial: Trial, first: bytes) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", trial.stack.port), timeout=10) as connection:
        if first:
            connection.sendall(first)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(_POST)
        try:
            while sent < 8 * 1024 * 1024:
                sent += connection.send(b"X-A: " + b"b" * 8000 + b"\r\n")
        except ConnectionError:
            pass
        else:
            pytest.fail(f"took {sent} bytes of header")


def test_a_full_header_sent_in_pieces_is_served(trial: Trial) -> None:
    body = event_body("evt_pieces", "paid", payout_object("po_honest", "paid"))
    head = (
        _POST
        + b"Stripe-Signature: "
        + signature(body).encode()
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(("127.0.0.1", trial.stack.port), timeout=10) as connection:
        for at in range(0, len(head), 40):
            connection.sendall(head[at : at + 40])
            time.sleep(0.02)
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
