"""A few lines of Stripe's API for tests: payouts to be read, and faults in front of them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk_test_x"


class FakeStripe:
    """`GET /v1/payouts/po_…` answers from `payouts`; `faults` are the statuses answered before that."""

    def __init__(self) -> None:
        self.payouts: dict[str, dict[str, Any]] = {}
        self.faults: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        """(path, account) of each request."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, answer = fake.answer(self.path, self.headers)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": f"http://127.0.0.1:{self._server.server_address[1]}",
        }

    def __enter__(self) -> "FakeStripe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, headers: Any) -> tuple[int, dict[str, Any]]:
        self.asked.append((path, headers.get("Stripe-Account")))
        if headers.get("Authorization") != f"Bearer {KEY}":
            return 401, _error("Invalid API Key provided", "invalid_request_error")
        if self.faults:
            return self.faults.pop(0), _error("made to fail", "api_error")
        payout = self.payouts.get(path.removeprefix("/v1/payouts/"))
        if payout is None:
            return 404, _error("No such payout", "invalid_request_error", "resource_missing")
        return 200, payout


def _error(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, **({"code": code} if code else {})}}
