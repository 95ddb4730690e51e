"""Metrics are served on a port of their own, to a few at once, and say nothing else."""

import socket
import threading

import httpx
import pytest

from serving.metrics import AT_ONCE, MetricsServer, served


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


def test_who_opens_many_connections_gets_no_more_threads() -> None:
    with MetricsServer(lambda: b"fine\n", "127.0.0.1", 0) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3 * AT_ONCE)]
        # The first take all the room; the others are closed, or wait in the backlog.
        closed = next(each for each in reversed(idle) if each.recv(1) == b"")
        assert closed
        serving = [each for each in threading.enumerate() if "process_request_thread" in each.name]
        assert len(serving) <= AT_ONCE
        for each in idle:
            each.close()
        assert httpx.get(f"http://127.0.0.1:{server.port}/metrics", timeout=20).text == "fine\n"
