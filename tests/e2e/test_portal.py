"""The API as its own process, between a portal and the queue."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import redis

from payouts.access import Step, give_program_token
from payouts.clock import now_ms
from tests.support.requests import a_partner, keep, make_id, owe
from tests.support.servers import free_port, wait_until
from tests.support.stack import Stack
from workers.messages import PAYOUTS_QUEUE, Messages


@contextmanager
def api_of(stack: Stack, name: str = "api", **env: str) -> Iterator[httpx.Client]:
    """The API as a process, and a client of it that sends a token."""
    port = free_port()
    with stack.engine.begin() as connection:
        step = Step(connection, make_id, now_ms(), "anna")
        token = give_program_token(step, name, "read request operate credit", 90).secret
    stack.launch(name, "api", API_PORT=str(port), **env)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=30) as client:

        def answers() -> bool:
            try:
                return client.get("/live").status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(f"the API answers; it said: {stack.said(name)}", answers)
        yield client
    assert token not in stack.said(name)


@pytest.fixture
def reference(stack: Stack) -> str:
    """A partner that is owed 50.00 EUR."""
    partner = a_partner()
    with stack.engine.begin() as connection:
        keep(connection, partner)
        owe(connection, partner, 5_000)
    return partner.reference


def test_a_requested_payout_reaches_the_queue_and_the_process_ends_cleanly(
    stack: Stack, reference: str
) -> None:
    with api_of(stack) as client:
        wish = {"partner": reference, "currency": "eur", "all_due": True}
        made = client.post("/payouts", json=wish, headers={"Idempotency-Key": "k"})
        payout = made.json()
        with redis.Redis.from_url(stack.env["REDIS_URL"]) as client_of_redis:
            waiting = Messages(client_of_redis, "payouts").waiting(PAYOUTS_QUEUE)
        ended = stack.stop("api")

    assert (made.status_code, payout["amount_minor"], payout["status"]) == (201, 5_000, "queued")
    assert waiting == 1
    assert '"event": "api.request"' in stack.said("api")
    assert ended == 0


@pytest.mark.parametrize(
    ("point", "was_done"), [("request.before_commit", False), ("api.after_commit", True)]
)
def test_whatever_a_killed_api_did_the_same_key_makes_one_payout(
    stack: Stack, reference: str, point: str, was_done: bool
) -> None:
    wish = {"partner": reference, "currency": "eur", "all_due": True}
    headers = {"Idempotency-Key": "k"}
    with api_of(stack, "one", CRASH_AT=point) as client:
        headers["Authorization"] = client.headers["Authorization"]
        with pytest.raises(httpx.HTTPError):
            client.post("/payouts", json=wish, headers=headers)
    with api_of(stack, "two") as client:
        again = client.post("/payouts", json=wish, headers=headers)

    assert (again.status_code, again.json()["amount_minor"]) == (201, 5_000)
    assert ("Idempotent-Replayed" in again.headers) is was_done
    assert stack.count("SELECT COUNT(*) FROM payout_requests") == 1


def test_a_wrong_setting_is_one_plain_line(stack: Stack) -> None:
    stack.launch("api", "api", API_PORT="many")
    wait_until("it ends", lambda: not stack.is_running("api"))

    assert stack.said("api").startswith("payouts api: API_PORT:")
