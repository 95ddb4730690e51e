"""Stripe's answers and what each means, through the real SDK against a server of the test's own."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe

from payouts import sdk_gateway as gateway_module
from payouts.clock import now_ms
from payouts.errors import GatewayError
from payouts.gateway import API_VERSION, NoGateway
from payouts.sdk_gateway import READ_TRIES, SdkGateway, gateway_error
from payouts.secret_source import SecretSource
from payouts.states import PayoutStatus
from tests.support.lives import payout_object

KEY = "sk_test_never_shown"


class Stripe:
    """A fake Stripe: gives one answer to all, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, json.dumps(payout_object("po_1", "paid")).encode()
        self.wait_s = 0.0
        self.hang_up = False
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.asked.append((self.command, self.path, headers))
                time.sleep(fake.wait_s)
                if fake.hang_up:
                    self.close_connection = True
                    return
                self.send_response(fake.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(fake.body)))
                self.end_headers()
                self.wfile.write(fake.body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a caller that gave up waiting is what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def refuse(self, status: int, **error: Any) -> None:
        self.status, self.body = status, json.dumps({"error": error}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def fake() -> Iterator[Stripe]:
    made = Stripe()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "READ_TIMEOUT_S", 0.3)
    monkeypatch.setattr(gateway_module, "wait_random_exponential", lambda **_: lambda _state: 0.01)


def refusal(gateway: SdkGateway, account: str | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        gateway.payout("po_1", account)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_payout_is_fetched_with_key_version_and_account(fake: Stripe) -> None:
    found = SdkGateway(KEY, fake.url).payout("po_1", "acct_1")
    assert (found.id, found.amount, found.business_status) == ("po_1", 12_345, PayoutStatus.PAID)
    ((method, path, headers),) = fake.asked
    assert (method, path) == ("GET", "/v1/payouts/po_1")
    assert headers["stripe-version"] == API_VERSION == "2026-10-28.endive"
    assert headers["stripe-account"] == "acct_1"
    assert headers["authorization"] == f"Bearer {KEY}"


def test_a_key_that_changes_in_its_file_is_used_by_the_next_call(fake: Stripe, tmp_path: Path) -> None:
    kept, time_s = tmp_path / "key", iter(range(0, 1_000, 10))
    kept.write_text(KEY)
    source = SecretSource("STRIPE_API_KEY", KEY, kept, monotonic=lambda: next(time_s))
    gateway = SdkGateway(source, fake.url)
    gateway.payout("po_1", None)
    kept.write_text("sk_test_another")
    gateway.payout("po_1", None)
    keys = [headers["authorization"] for _, _, headers in fake.asked]
    assert keys == [f"Bearer {KEY}", "Bearer sk_test_another"]


def test_a_payout_of_the_platform_is_fetched_without_an_account(fake: Stripe) -> None:
    SdkGateway(KEY, fake.url).payout("po_1", None)
    assert "stripe-account" not in fake.asked[0][2]


def test_an_id_cannot_lead_to_another_address(fake: Stripe) -> None:
    SdkGateway(KEY, fake.url).payout("../customers?x=/", None)
    path = fake.asked[0][1]
    assert path.startswith("/v1/payouts/")
    assert path.count("/") == 3
    assert "?" not in path


def _no(code: str) -> dict[str, str]:
    return {"type": "invalid_request_error", "code": code}


@pytest.mark.parametrize(
    ("status", "error", "tries", "transient", "blocked", "said"),
    [
        (400, _no("parameter_invalid"), 1, False, False, "parameter_invalid"),
        (400, {"type": "idempotency_error"}, 1, False, False, "400"),
        (401, {"type": "invalid_request_error"}, 1, True, True, "STRIPE_API_KEY"),
        (402, {"type": "card_error", "code": "card_declined"}, 1, False, False, "card_declined"),
        (403, _no("account_invalid"), 1, False, False, "account_invalid"),
        (404, _no("resource_missing"), 1, False, False, "resource_missing"),
        (409, _no("lock_timeout"), READ_TRIES, True, False, "lock_timeout"),
        (424, {"type": "api_error"}, READ_TRIES, True, False, "424"),
        (429, _no("rate_limit"), READ_TRIES, True, False, "rate_limit"),
        (429, _no("lock_timeout"), READ_TRIES, True, False, "lock_timeout"),
        (500, {"type": "api_error"}, READ_TRIES, True, False, "500"),
        (503, {"type": "api_error"}, READ_TRIES, True, False, "503"),
    ],
)
def test_a_refusal_is_tried_again_waits_or_is_final_by_what_it_is(
    fake: Stripe,
    status: int,
    error: dict[str, str],
    tries: int,
    transient: bool,
    blocked: bool,
    said: str,
) -> None:
    fake.refuse(status, message="no", **error)
    found = refusal(SdkGateway(KEY, fake.url))
    assert (found.transient, found.blocked) == (transient, blocked)
    assert said in str(found)
    # No more than the tries named here: none are hidden in the SDK.
    assert len(fake.asked) == tries


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("body", [b"", b"<html>sorry</html>", b"\xff\xfe", b"{", b"null"])
def test_an_answer_that_does_not_read_is_an_error_of_the_gateway(
    fake: Stripe, status: int, body: bytes
) -> None:
    fake.status, fake.body = status, body
    refusal(SdkGateway(KEY, fake.url))
    assert len(fake.asked) <= READ_TRIES


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"{}", b'{"object":"customer","id":"cus_1"}'])
def test_an_answer_that_is_no_payout_is_an_error_of_the_gateway(fake: Stripe, body: bytes) -> None:
    fake.body = body
    refusal(SdkGateway(KEY, fake.url))


def test_garbage_for_an_answer_may_be_better_next_time(fake: Stripe) -> None:
    fake.body = b"<html>sorry</html>"
    assert refusal(SdkGateway(KEY, fake.url)).transient


def test_an_answer_that_does_not_come_is_not_waited_for(fake: Stripe) -> None:
    fake.wait_s = 5
    began = time.monotonic()
    assert refusal(SdkGateway(KEY, fake.url)).transient
    assert time.monotonic() - began < 3
    assert len(fake.asked) == READ_TRIES


def test_a_connection_that_breaks_is_tried_again(fake: Stripe) -> None:
    fake.hang_up = True
    assert refusal(SdkGateway(KEY, fake.url)).transient
    assert len(fake.asked) == READ_TRIES


def test_a_stripe_that_cannot_be_reached_may_be_later() -> None:
    assert refusal(SdkGateway(KEY, "http://127.0.0.1:1")).transient


def test_seconds_of_trouble_are_waited_out(fake: Stripe) -> None:
    good = fake.body
    fake.refuse(500, type="api_error")
    gateway = SdkGateway(KEY, fake.url)

    def recover() -> None:
        while len(fake.asked) < READ_TRIES - 1:
            time.sleep(0.001)
        fake.status, fake.body = 200, good

    fake.wait_s = 0.02
    helper = threading.Thread(target=recover)
    helper.start()
    assert gateway.payout("po_1", None).id == "po_1"
    helper.join()


def test_every_call_is_counted_by_what_came_of_it(fake: Stripe) -> None:
    calls: list[tuple[str, str]] = []
    gateway = SdkGateway(KEY, fake.url, called=lambda kind, outcome, _took_s: calls.append((kind, outcome)))
    gateway.payout("po_1", None)
    fake.refuse(404, type="invalid_request_error")
    refusal(gateway)
    fake.refuse(429, type="rate_limit_error")
    refusal(gateway)
    fake.hang_up = True
    refusal(gateway)

    tries = [("read", "limited")] * READ_TRIES + [("read", "failed")] * READ_TRIES
    assert calls == [("read", "answered"), ("read", "refused"), *tries]


def test_the_limits_in_production_are_seconds_and_the_client_retries_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    made: list[dict[str, Any]] = []
    real = stripe.StripeClient
    monkeypatch.setattr(
        stripe, "StripeClient", lambda key, **options: made.append(options) or real(key, **options)
    )
    SdkGateway(KEY)
    (options,) = made
    assert options["max_network_retries"] == 0
    assert options["stripe_version"] == API_VERSION
    assert options["http_client"]._timeout == (3, 20)


def test_without_a_key_whatever_needs_stripe_waits_for_it() -> None:
    with pytest.raises(GatewayError, match="STRIPE_API_KEY") as caught:
        NoGateway().payout("po_1", None)
    assert (caught.value.transient, caught.value.blocked) == (True, True)


def test_a_gateway_does_not_show_its_key() -> None:
    assert KEY not in repr(SdkGateway(KEY)) + str(SdkGateway(KEY))


def test_endpoints_come_with_the_time_that_it_is_at_stripe(fake: Stripe) -> None:
    made = {"id": "we_1", "object": "webhook_endpoint", "url": "https://x", "status": "enabled"}
    page = {"object": "list", "has_more": False, "data": [{**made, "enabled_events": ["*"]}]}
    fake.body = json.dumps(page).encode()
    before_ms = now_ms()
    seen = SdkGateway(KEY, fake.url).webhook_endpoints()
    assert [each.id for each in seen.endpoints] == ["we_1"]
    assert before_ms <= seen.asked_at_ms <= seen.answered_at_ms <= now_ms()
    assert seen.stripe_now_ms is not None
    assert seen.asked_at_ms - 1_000 < seen.stripe_now_ms <= seen.answered_at_ms
    assert fake.asked[0][1] == "/v1/webhook_endpoints?limit=100"


def test_a_list_of_endpoints_that_does_not_end_is_not_followed_for_ever(fake: Stripe) -> None:
    made = {"id": "we_1", "object": "webhook_endpoint", "url": "https://x", "status": "enabled"}
    page = {"object": "list", "has_more": True, "data": [{**made, "enabled_events": ["*"]}]}
    fake.body = json.dumps(page).encode()
    with pytest.raises(GatewayError, match="more than"):
        SdkGateway(KEY, fake.url).webhook_endpoints()


def test_without_a_key_endpoints_cannot_be_asked_for() -> None:
    with pytest.raises(GatewayError, match="STRIPE_API_KEY"):
        NoGateway().webhook_endpoints()


@pytest.mark.parametrize(
    ("error", "transient", "blocked"),
    [
        (stripe.APIConnectionError("no"), True, False),
        (stripe.RateLimitError("no", http_status=429), True, False),
        (stripe.APIError("no", http_status=500), True, False),
        (stripe.APIError("no"), True, False),
        (stripe.AuthenticationError("no", http_status=401), True, True),
        (stripe.PermissionError("no", http_status=403), False, False),
        (stripe.IdempotencyError("no", http_status=400), False, False),
        (stripe.InvalidRequestError("no", "id", http_status=404), False, False),
        (stripe.CardError("no", "id", "declined", http_status=402), False, False),
        (stripe.StripeError("no"), True, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_class_of_the_sdk_means_one_thing(error: Any, transient: bool, blocked: bool) -> None:
    found = gateway_error(stripe, error)
    assert (found.transient, found.blocked) == (transient, blocked)
