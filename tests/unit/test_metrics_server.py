"""Metrics are served on a port of their own, to a few at once, and say nothing else."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import httpx
import pytest
from structlog.testing import capture_logs

from api.app import build_app as api
from console.web.app import build_app as console
from payouts.errors import SettingsError
from payouts.settings import Settings
from serving.metrics import AT_ONCE, MetricsServer, served
from tests.support.servers import wait_until
from webhooks.app import build_app as receiver


def test_it_serves_metrics_and_nothing_else() -> None:
    with MetricsServer(lambda: b"payouts_up 1\n", "127.0.0.1", 0) as server:
        at = f"http://127.0.0.1:{server.port}"
        answer = httpx.get(f"{at}/metrics")
        head = httpx.head(f"{at}/metrics")
        other = httpx.get(f"{at}/api/health")
        posted = httpx.post(f"{at}/metrics", content=b"x")

    assert (answer.status_code, answer.content) == (200, b"payouts_up 1\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (head.status_code, head.content) == (200, b"")
    assert (other.status_code, posted.status_code) == (404, 501)
    assert "Python" not in str(answer.headers) + other.text


def test_it_listens_at_an_address_of_ipv6_too() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with MetricsServer(lambda: b"payouts_up 1\n", "::1", 0) as server:
        assert httpx.get(f"http://[::1]:{server.port}/metrics").text == "payouts_up 1\n"


def test_without_metrics_nothing_listens() -> None:
    with served(None, "127.0.0.1", 1) as nothing:
        assert nothing is None


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with (
        MetricsServer(bytes, "127.0.0.1", 0) as server,
        pytest.raises(OSError, match=rf"127\.0\.0\.1:{server.port}.*METRICS_PORT of its own"),
        MetricsServer(bytes, "127.0.0.1", server.port),
    ):
        pass


def test_where_a_port_is_taken_the_work_goes_on_and_metrics_come_once_it_is_free() -> None:
    with MetricsServer(lambda: b"old\n", "127.0.0.1", 0) as old, capture_logs() as logged:
        at = f"http://127.0.0.1:{old.port}/metrics"
        new = served(lambda: b"new\n", "127.0.0.1", old.port, again_s=0.05)
        new.__enter__()
        assert httpx.get(at).text == "old\n"

    def is_new() -> bool:
        try:
            return httpx.get(at).text == "new\n"
        except httpx.HTTPError:
            return False

    wait_until("it is served", is_new)
    new.__exit__(None, None, None)
    with pytest.raises(httpx.ConnectError):
        httpx.get(at)
    assert [(line["event"], line["log_level"]) for line in logged] == [("metrics.not_served", "error")]
    assert "METRICS_PORT of its own" in logged[0]["error"]


def test_a_process_that_ends_before_its_port_is_free_just_ends() -> None:
    with (
        MetricsServer(bytes, "127.0.0.1", 0) as old,
        capture_logs(),
        served(bytes, "127.0.0.1", old.port, again_s=3600),
    ):
        pass


@pytest.mark.parametrize(("build", "role"), [(receiver, "receiver"), (api, "api"), (console, "console")])
def test_the_port_where_others_are_served_is_not_taken_for_metrics(
    build: Callable[[Settings], object], role: str
) -> None:
    settings = Settings(
        database_url="sqlite://",
        redis_url="redis://127.0.0.1:1/0",
        stripe_webhook_secret="whsec_" + "x" * 32,
        metrics_port=9464,
        **{f"{role}_port": 9464},
    )
    with pytest.raises(SettingsError, match="METRICS_PORT is 9464, where this process serves others"):
        build(settings)


def test_who_opens_many_connections_gets_no_more_threads() -> None:
    with MetricsServer(lambda: b"fine\n", "127.0.0.1", 0) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3 * AT_ONCE)]
        # Each that comes takes the place of the one that has waited the longest without asking.
        assert idle[0].recv(1) == b""
        serving = [each for each in threading.enumerate() if "process_request_thread" in each.name]
        assert len(serving) <= AT_ONCE
        for each in idle:
            each.close()
        assert httpx.get(f"http://127.0.0.1:{server.port}/metrics", timeout=20).text == "fine\n"


@contextlib.contextmanager
def dripping(connections: Sequence[socket.socket]) -> Iterator[None]:
    """While it is entered, a byte of a header comes on each now and then."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            for each in connections:
                with contextlib.suppress(OSError):
                    each.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_callers_that_send_a_byte_at_a_time_keep_no_scrape_out() -> None:
    with MetricsServer(lambda: b"fine\n", "127.0.0.1", 0, within_s=3600) as server:
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(AT_ONCE)]
        for each in slow:
            each.send(b"GET /metrics HTTP/1.0\r\nX: ")
        with dripping(slow):
            scraped = [
                httpx.get(f"http://127.0.0.1:{server.port}/metrics", timeout=20).text for _ in range(8)
            ]
        for each in slow:
            each.close()
    assert scraped == ["fine\n"] * 8


def test_a_connection_ends_in_its_time_however_it_is_spread() -> None:
    with MetricsServer(lambda: b"fine\n", "127.0.0.1", 0, within_s=0.5) as server:
        slow = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        slow.send(b"GET /metrics HTTP/1.0\r\nX: ")
        with dripping([slow]):
            assert slow.recv(1) == b"", "it is still waited for"
        slow.close()


def test_where_no_thread_can_be_started_the_next_scrape_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    with MetricsServer(lambda: b"fine\n", "127.0.0.1", 0) as server:
        at = f"http://127.0.0.1:{server.port}/metrics"
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if "process_request_thread" in thread.name:
                raise RuntimeError("can't start new thread")
            start(thread)

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            for _ in range(2 * AT_ONCE):
                with pytest.raises(httpx.TransportError):
                    httpx.get(at, timeout=20)
        assert httpx.get(at, timeout=20).text == "fine\n"
