"""A receiver process meets whatever anybody may send: it answers plainly, stores nothing and stays itself."""

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lives import event_body, payout_object
from tests.support.servers import RedisServer, wait_until
from tests.support.stack import PATH, SECRET, Stack, signature

MIB = 1024 * 1024
LIVE = "/api/live"


@pytest.fixture(scope="module")
def receiver(_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One receiver on SQLite for the whole file: no test here may leave it worse than it found it."""
    folder = tmp_path_factory.mktemp("receiver")
    with Stack(folder, f"sqlite:///{folder / 'payouts.db'}", _redis.url) as stack:
        stack.start("receiver")
        yield stack


@pytest.fixture(autouse=True)
def _still_itself(receiver: Stack) -> Iterator[None]:
    """After each test the same process answers, and has said no traceback."""
    process = receiver.processes["receiver"]
    yield
    assert receiver.processes["receiver"] is process
    assert receiver.is_running("receiver"), receiver.said("receiver")[-2000:]
    assert receiver.is_serving()
    assert "Traceback" not in receiver.said("receiver")


def rows(stack: Stack) -> int:
    return stack.count("SELECT COUNT(*) FROM inbox")


def live(stack: Stack) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{stack.port}{LIVE}", timeout=5).json()
    return answer


def connect(stack: Stack, timeout_s: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stack.port), timeout=timeout_s)


def request(body: bytes, *headers: bytes, method: bytes = b"POST", path: str = PATH) -> bytes:
    """A request's bytes; the header lines are taken as they are."""
    lines = [method + b" " + path.encode() + b" HTTP/1.1", b"Host: here", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body


def signed(body: bytes) -> bytes:
    return request(body, b"Stripe-Signature: " + signature(body).encode())


def read_answers(connection: socket.socket, count: int = 1) -> bytes:
    """What came back, up to the end of `count` answers of JSON or to the end of the connection."""
    got = b""
    while got.count(b"HTTP/1.1 ") < count or not _whole(got):
        chunk = connection.recv(65536)
        if not chunk:
            break
        got += chunk
    return got


def _whole(got: bytes) -> bool:
    head, found, body = got[got.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    if not found:
        return False
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"),
        0,
    )
    return len(body) >= length


def ask(stack: Stack, data: bytes) -> tuple[int, bytes]:
    """Send bytes on a connection of their own: the status (0: hung up without one) and the body."""
    with connect(stack) as connection:
        connection.sendall(data)
        got = read_answers(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    return (int(head.split(b" ")[1]) if head.startswith(b"HTTP/1.1 ") else 0), body


def _event(**changes: Any) -> bytes:
    event = json.loads(event_body("evt_bad1", "paid", payout_object("po_bad1", "paid")))
    event.update(changes)
    return json.dumps({name: value for name, value in event.items() if value is not ...}).encode()


def _nested(depth: int) -> bytes:
    whole = _event(extra="HERE")
    return whole.replace(b'"HERE"', b"[" * depth + b"]" * depth)


RUBBISH = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00",
    "not UTF-8 in a field that is read": _event().replace(b"evt_bad1", b"evt_\xff\xfe"),
    "not UTF-8 in a field that is skipped": _event(extra="HERE").replace(b"HERE", b"\xff\xfe"),
    "a list": b"[]",
    "a list of events": b"[" + _event() + b"]",
    "a number": b"5",
    "a text": b'"evt_bad1"',
    "null": b"null",
    "true": b"true",
    "half an event": _event()[:-20],
    "two events": _event() + _event(),
    "a form": b"id=evt_bad1&type=payout.paid",
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "deep nesting in a field that is skipped": _nested(100_000),
    "endless number": b'{"id":' + b"9" * 10_000 + b"}",
    "no id": _event(id=...),
    "no type": _event(type=...),
    "no livemode": _event(livemode=...),
    "an id of null": _event(id=None),
    "an id that is a number": _event(id=5),
    "an id that is a list": _event(id=["evt_bad1"]),
    "an id of another kind": _event(id="cus_bad1"),
    "an empty id": _event(id=""),
    "an id that is too long": _event(id="evt_" + "x" * 252),
    "an id outside of ASCII": _event(id="evt_é"),
    "an id with a NUL": _event(id="evt_\0"),
    "an id with a line break": _event(id="evt_a\nb"),
    "half a surrogate pair": _event().replace(b"evt_bad1", b"evt_\\ud800"),
    "a type that is a number": _event(type=7),
    "an empty type": _event(type=""),
    "a type that is too long": _event(type="x" * 129),
    "a livemode that is a text": _event(livemode="false"),
    "a livemode that is a number": _event(livemode=0),
    "an account that is a number": _event(account=1),
    "an account that is too long": _event(account="acct_" + "x" * 60),
    "an account outside of ASCII": _event(account="acct_ü"),
    "data that is a list": _event(data=[]),
    "an object of another kind": _event(object="payout"),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_under_a_valid_signature_is_a_400_with_a_reason_and_no_row(
    receiver: Stack, name: str
) -> None:
    before = rows(receiver)
    answer = receiver.post(RUBBISH[name])
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"]
    assert rows(receiver) == before


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([b"Stripe-Signature:"], id="empty"),
        pytest.param([b"Stripe-Signature: t=1,v1=00"], id="wrong"),
        pytest.param([b"Stripe-Signature: \xff\xfe,v1=\xe9"], id="not ASCII"),
        pytest.param([b"Stripe-Signature: t=" + b"9" * 3000 + b",v1=00"], id="endless time"),
        pytest.param([b"Stripe-Signature: " + b"v1=00," * 5000], id="far too many"),
        pytest.param(
            [b"Stripe-Signature: " + signature(_event(), "whsec_of_somebody_else").encode()], id="other"
        ),
        pytest.param([b"Stripe-Signature: " + signature(_event(), at_s=1e9).encode()], id="old"),
        pytest.param([b"Stripe-Signature: " + signature(_event()).encode()] * 2, id="twice"),
    ],
)
def test_an_event_without_a_valid_signature_is_a_400_with_a_reason_and_no_row(
    receiver: Stack, headers: list[bytes]
) -> None:
    before = rows(receiver)
    status, body = ask(receiver, request(_event(), *headers))
    assert status == 400
    assert json.loads(body)["error"]
    assert rows(receiver) == before


@settings(max_examples=150, deadline=None)
@given(header=st.binary(max_size=200), body=st.binary(max_size=400))
def test_no_header_and_body_are_ever_more_than_a_400(receiver: Stack, header: bytes, body: bytes) -> None:
    before = rows(receiver)
    clean = header.translate(None, b"\r\n")
    status, _ = ask(receiver, request(body, b"Stripe-Signature: " + clean))
    assert status == 400
    assert rows(receiver) == before


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
_keys = ("id", "object", "type", "livemode", "account", "created", "api_version", "data", "context")


@settings(max_examples=200, deadline=None)
@given(value=_values)
def test_any_json_under_a_valid_signature_is_a_400_and_no_row(receiver: Stack, value: Any) -> None:
    before = rows(receiver)
    status, body = ask(receiver, signed(json.dumps(value).encode()))
    assert status == 400
    assert json.loads(body)["error"]
    assert rows(receiver) == before


@settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(_keys), _values, min_size=1, max_size=3))
def test_an_event_with_any_field_replaced_is_stored_or_refused_never_a_500(
    receiver: Stack, changes: dict[str, Any]
) -> None:
    before = rows(receiver)
    body = _event(**{"id": f"evt_{time.monotonic_ns()}", **changes})
    status, answer = ask(receiver, signed(body))
    assert status in (200, 400), answer
    stored = status == 200 and json.loads(body)["livemode"] is False
    assert rows(receiver) == before + stored


def test_a_body_over_one_mebibyte_is_a_413_by_its_announced_length(receiver: Stack) -> None:
    before = rows(receiver)
    body = _event(extra="x" * MIB)
    status, answer = ask(receiver, signed(body))
    assert status == 413
    assert json.loads(answer)["error"]
    assert rows(receiver) == before


def test_a_body_over_one_mebibyte_is_a_413_before_it_is_sent(receiver: Stack) -> None:
    head = signed(b"").replace(b"Content-Length: 0", b"Content-Length: 999999999999")
    status, _ = ask(receiver, head)
    assert status == 413


def test_a_chunked_body_over_one_mebibyte_is_a_413(receiver: Stack) -> None:
    before = rows(receiver)
    body = _event(extra="x" * MIB)

    with httpx.Client(timeout=10) as client:
        answer = client.post(
            receiver.url,
            content=(body[at : at + 65536] for at in range(0, len(body), 65536)),
            headers={"Stripe-Signature": signature(body)},
        )
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 413
    assert rows(receiver) == before


def test_an_endless_chunked_body_is_cut_off(receiver: Stack) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with connect(receiver) as connection:
        connection.sendall(head)
        sent = 0
        try:
            while sent < 64 * MIB:
                sent += connection.send(chunk)
        except ConnectionError:
            pass
    assert sent < 64 * MIB


def test_a_large_body_within_the_limit_is_stored(receiver: Stack) -> None:
    filler = MIB - len(_event(id="evt_large", extra=""))
    body = _event(id="evt_large", extra="x" * filler)
    assert len(body) == MIB
    assert receiver.post(body).status_code == 200
    stored = receiver.rows("SELECT payload FROM inbox WHERE event_id = 'evt_large'")
    assert [row.payload for row in stored] == [body]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_webhook_takes_nothing_but_post(receiver: Stack, method: str) -> None:
    answer = httpx.request(method, receiver.url, timeout=5)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/webhooks/stripe/x", "/api/webhooks", "/%ff", "/api/health/.."]
)
def test_a_wrong_path_is_a_404_and_no_row(receiver: Stack, path: str) -> None:
    before = rows(receiver)
    body = _event(id="evt_lost")
    status, _ = ask(receiver, request(body, b"Stripe-Signature: " + signature(body).encode(), path=path))
    assert status == 404
    assert rows(receiver) == before


def test_an_event_of_the_other_mode_is_acknowledged_counted_and_not_stored(receiver: Stack) -> None:
    before, counted = rows(receiver), live(receiver)["counts"]
    body = _event(id="evt_live", livemode=True)
    assert receiver.post(body).status_code == 200
    assert rows(receiver) == before
    now = live(receiver)["counts"]
    assert now["other_mode"] == counted["other_mode"] + 1
    assert now["received"] == counted["received"]


def test_refusals_are_counted_apart_from_what_was_received(receiver: Stack) -> None:
    counted = live(receiver)["counts"]
    receiver.post(b"[]")
    receiver.post(_event(id="evt_counted"))
    now = live(receiver)["counts"]
    assert now["rejected"] == counted["rejected"] + 1
    assert now["received"] == counted["received"] + 1


def test_health_answers_get_and_head(receiver: Stack) -> None:
    for path, said in (("health", {"healthy", "degraded"}), ("live", {"live"}), ("ready", {"ready"})):
        url = f"http://127.0.0.1:{receiver.port}/api/{path}"
        got, head = httpx.get(url, timeout=5), httpx.head(url, timeout=5)
        assert got.status_code == head.status_code == 200
        assert got.json()["status"] in said  # no worker runs: what waits may make it degraded
        assert head.content == b""


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_connection_cut_in_the_middle_of_a_body_leaves_no_row(receiver: Stack, reset: bool) -> None:
    before, counted = rows(receiver), live(receiver)["counts"]["received"]
    for number in range(50):
        body = _event(id=f"evt_cut{number}", extra="x" * 2000)
        data = signed(body)
        with connect(receiver) as connection:
            connection.sendall(data[: len(data) - 1 - number * 40])
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    body = _event(id=f"evt_after_cut_{reset}")
    assert receiver.post(body).status_code == 200
    assert rows(receiver) == before + 1
    assert live(receiver)["counts"]["received"] == counted + 1


def _resident_kb(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def _open_files(process_id: int) -> int:
    return len(os.listdir(f"/proc/{process_id}/fd"))  # noqa: PTH208 - names are not needed as paths


def _flood(stack: Stack, count: int) -> int:
    """`count` malformed requests over eight connections; how many were answered with a 4xx."""
    body = _event()
    kinds = [
        request(body),
        request(body, b"Stripe-Signature: t=1,v1=00"),
        request(body, b"Stripe-Signature: \xff\xff"),
        signed(b"[]"),
        signed(b"\xff\xfe"),
        signed(b"[" * 2000 + b"]" * 2000),
        request(b"", method=b"GET"),
        request(b"", path="/nowhere"),
    ]

    def send(share: int) -> int:
        refused = 0
        with connect(stack, 30) as connection:
            for start in range(0, share, 25):
                several = [kinds[number % len(kinds)] for number in range(start, min(start + 25, share))]
                connection.sendall(b"".join(several))
                got = read_answers(connection, len(several))
                refused += (
                    got.count(b"HTTP/1.1 400 ") + got.count(b"HTTP/1.1 404 ") + got.count(b"HTTP/1.1 405 ")
                )
        return refused

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(send, [count // 8] * 8))


def _garble(stack: Stack, count: int) -> None:
    """`count` connections that do not even speak HTTP."""
    for number in range(count):
        with connect(stack) as connection:
            connection.sendall([b"\x16\x03\x01\x02\x00" * 20, b"GET\r\n\r\n", b"\0" * 300][number % 3])
            read_answers(connection)


def test_ten_thousand_malformed_requests_leave_the_receiver_as_it_was(receiver: Stack) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to look into another process")
    process_id = receiver.processes["receiver"].pid
    _flood(receiver, 2000)
    _garble(receiver, 30)
    before, memory_kb, files = rows(receiver), _resident_kb(process_id), _open_files(process_id)

    assert _flood(receiver, 10_000) == 10_000
    _garble(receiver, 300)

    assert _resident_kb(process_id) - memory_kb < 20 * 1024
    wait_until("every connection is given back", lambda: _open_files(process_id) <= files)
    assert rows(receiver) == before
    assert receiver.post(_event(id="evt_after_flood")).status_code == 200


def test_no_secret_is_in_the_log_of_the_process(receiver: Stack) -> None:
    # The secret itself as a header, as a body and as a path: what anybody sends must not come out either.
    ask(receiver, request(SECRET.encode(), b"Stripe-Signature: " + SECRET.encode()))
    receiver.post(_event(id=SECRET))
    said = receiver.said("receiver")
    assert "webhook.rejected" in said
    assert SECRET not in said
    assert signature(b"x").partition("v1=")[2] not in said
