"""The sandbox for tests: as a process of its own, or in a thread of this one. Both serve HTTP on a free port,
so that the SDK can be used as it is, and have the same methods for what only the sandbox can do.

    with sandbox_process() as sandbox:          # or sandbox_here(), which starts in a tenth of the time
        partner = sandbox.account()
        sandbox.top_up(1_000_00)
        client = StripeClient(sandbox.key, base_addresses={"api": sandbox.url})
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from stripe import RequestsClient, StripeClient

from sandbox.app import Options
from sandbox.server import Server

KEY = "sk_test_sandbox"
START_WITHIN_S = 20.0
ROOT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]


class Sandbox:
    """A running sandbox: its address, its key, and its own API."""

    def __init__(self, url: str, key: str = KEY) -> None:
        self.url = url
        self.key = key
        self._http = httpx.Client(base_url=f"{url}/_sandbox", timeout=120)

    @property
    def settings(self) -> dict[str, str]:
        """For the service's environment."""
        return {"STRIPE_API_KEY": self.key, "STRIPE_API_BASE": self.url}

    def client(self, timeout_s: float = 20.0, max_network_retries: int = 0) -> StripeClient:
        return StripeClient(
            self.key,
            base_addresses={"api": self.url},
            max_network_retries=max_network_retries,
            http_client=RequestsClient(timeout=timeout_s),
        )

    def account(self, **wanted: Any) -> str:
        """The id of a new account that can be paid at once. `wanted`: country, currency, account_number,
        email, metadata, available_minor."""
        return str(self.ask("POST", "/accounts", wanted)["id"])

    def force(self, account: str, **forced: Any) -> Json:
        """payouts_enabled, charges_enabled, details_submitted, disabled_reason, currently_due, past_due,
        current_deadline, capabilities; None takes it back."""
        return self.ask("POST", f"/accounts/{account}/force", forced)

    def bank_status(self, account: str, status: str, bank: str | None = None) -> Json:
        return self.ask("POST", f"/accounts/{account}/bank_account", {"status": status, "id": bank})

    def deauthorize(self, account: str) -> None:
        self.ask("POST", f"/accounts/{account}/deauthorize", {})

    def top_up(
        self, amount_minor: int, currency: str = "usd", account: str | None = None, pending_s: float = 0
    ) -> Json:
        """The platform's balance, or a connected account's."""
        body = {
            "amount_minor": amount_minor,
            "currency": currency,
            "account": account,
            "pending_s": pending_s,
        }
        return self.ask("POST", "/top_up", body)

    def automatic_payout(
        self, account: str, amount_minor: int, currency: str = "usd", **metadata: str
    ) -> Json:
        body = {"amount_minor": amount_minor, "currency": currency, "metadata": metadata}
        return self.ask("POST", f"/accounts/{account}/automatic_payout", body)

    def pay(self, payout: str) -> Json:
        return self.ask("POST", f"/payouts/{payout}/pay", {})

    def fail(self, payout: str, code: str = "could_not_process") -> Json:
        """Also after it was paid."""
        return self.ask("POST", f"/payouts/{payout}/fail", {"code": code})

    def return_(self, payout: str, code: str = "account_closed") -> Json:
        """Only after it was paid."""
        return self.ask("POST", f"/payouts/{payout}/return", {"code": code})

    def reverse(self, payout: str) -> Json:
        """By the bank; the reversal, which is a new payout."""
        return self.ask("POST", f"/payouts/{payout}/reverse", {})

    def plan(self, route: str, fault: str | None = None, **planned: Any) -> None:
        """What the next calls meet for sure: a fault of calls, or a refusal by status, code, message, kind,
        kept. `route` is such as "POST /v1/payouts"; also account and times."""
        self.ask("POST", "/plan", {"route": route, "fault": fault, **planned})

    def set_faults(self, **faults: Any) -> None:
        """All of them: what is not named is off from now on."""
        self.ask("PUT", "/faults", faults)

    def set_settings(self, **settings: Any) -> None:
        """All of them: what is not named is as it is by default."""
        self.ask("PUT", "/settings", settings)

    def now(self) -> float:
        return float(self.ask("GET", "/clock")["now"])

    def advance(self, seconds: float) -> float:
        """Move the clock on, running what is due on the way; the time that it is then."""
        return float(self.ask("POST", "/clock/advance", {"seconds": seconds})["now"])

    def settle(self, within_s: float = 10.0) -> bool:
        """Wait until no timer is left and no delivery under way; False where it took longer."""
        return bool(self.ask("POST", "/settle", {"within_s": within_s})["settled"])

    def deliveries(self, event: str) -> list[Json]:
        """endpoint_id, state (pending, taken, given_up), attempts and last_status, by endpoint."""
        found: list[Json] = self.ask("GET", f"/events/{event}/deliveries")["deliveries"]
        return found

    def books(self, key: str = "payout_id") -> Json:
        return self.ask("GET", f"/books?key={key}")

    def stats(self) -> Json:
        return self.ask("GET", "/stats")

    def about(self) -> Json:
        return self.ask("GET", "/")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Any call of its own API; AssertionError where it is refused."""
        answer = self._http.request(method, path, json=body)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    def status(self, method: str, path: str) -> int:
        """The status of a call of its own API, whatever it is."""
        return self._http.request(method, path, json={}).status_code

    def close(self) -> None:
        self._http.close()


class Listener:
    """An endpoint that notes what is delivered, and answers `status`; listens as a context manager."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.got: list[tuple[str, bytes]] = []
        """(Stripe-Signature, body) of each delivery."""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.got.append((self.headers["Stripe-Signature"], body))
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    def events(self) -> list[Json]:
        return [json.loads(body) for _, body in self.got]

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def sandbox_process(*flags: str) -> Iterator[Sandbox]:
    """`flags` are those of `python -m sandbox`."""
    command = [sys.executable, "-m", "sandbox", "--api-key", KEY, *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the sandbox did not start"
        sandbox = Sandbox(json.loads(line)["listening"])
        try:
            yield sandbox
        finally:
            sandbox.close()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def sandbox_here(options: Options | None = None) -> Iterator[Sandbox]:
    """In a thread of this process."""
    listening = threading.Event()
    server = Server(options or Options(api_key=KEY), "127.0.0.1", 0, lambda _: listening.set())
    thread = threading.Thread(target=server.serve_here, name="sandbox", daemon=True)
    thread.start()
    assert listening.wait(START_WITHIN_S), "the sandbox did not start"
    sandbox = Sandbox(server.address)
    try:
        yield sandbox
    finally:
        sandbox.close()
        server.should_exit = True
        thread.join(START_WITHIN_S)
