"""The service as real processes, and a sender that signs as Stripe does."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from payouts.storage.engine import build_engine
from tests.support.databases import bring_up_to_date
from tests.support.servers import free_port, wait_until

SECRET = "whsec_tests_only"
PATH = "/api/webhooks/stripe"


def signature(body: bytes, secret: str = SECRET, at_s: float | None = None) -> str:
    """Written apart from the code under test, from Stripe's description of the scheme."""
    stamp = str(int(time.time() if at_s is None else at_s))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


class Stack:
    """Receiver, workers and scheduler as processes on one database and one Redis."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{PATH}"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "RECEIVER_PORT": str(self.port),
            "SWEEP_INTERVAL_S": "0.3",
            "SWEEP_GRACE_S": "1",
            "RECONCILE_INTERVAL_S": "0",  # it asks Stripe, and reports payouts of long ago as overdue
            "CATCH_UP_INTERVAL_S": "0",  # as above
            "PROOF_DAILY": "false",
            **settings,
        }
        self.engine = build_engine(database_url, timeout_s=10, pool_size=5)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Stack":
        bring_up_to_date(self.engine)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()  # all at once: each takes about a second to end
        for name in list(self.processes):
            self._end(name, None)
        self.engine.dispose()

    def start(self, *roles: str, **env: str) -> None:
        """Start `receiver`, `worker`, `scheduler`; a role may carry a name, as `worker:2`."""
        for name in roles:
            role = name.partition(":")[0]
            self.launch(name, *(["webhooks"] if role == "receiver" else ["workers", role]), **env)
        if "receiver" in roles:
            wait_until(f"the receiver answers; it said: {self.said('receiver')}", self.is_serving)

    def launch(self, name: str, *module: str, **env: str) -> None:
        """Start `python -m` with `module` and its arguments, under `name`."""
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *module],
                env={**self.env, **env},
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def log(self, name: str) -> Path:
        return self.folder / f"{name.replace(':', '-')}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text() if self.log(name).exists() else ""

    def is_serving(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/api/live", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def is_running(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def stop(self, name: str) -> int:
        """SIGTERM, and wait."""
        return self._end(name, signal.SIGTERM)

    def kill(self, name: str) -> int:
        """kill -9, and wait."""
        return self._end(name, signal.SIGKILL)

    def _end(self, name: str, number: signal.Signals | None) -> int:
        process = self.processes.pop(name)
        if number is not None and process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            how = number.name if number else "SIGTERM"
            raise AssertionError(
                f"{name} did not end within 30 s of {how}: {self.said(name)[-2000:]}"
            ) from None

    def post(self, body: bytes, client: httpx.Client | None = None, **headers: str) -> httpx.Response:
        """Deliver one body, signed now unless a header says otherwise."""
        headers = {"Stripe-Signature": signature(body), "Content-Type": "application/json", **headers}
        if client is not None:
            return client.post(self.url, content=body, headers=headers)
        return httpx.post(self.url, content=body, headers=headers, timeout=10)

    def deliver(self, bodies: Sequence[bytes], concurrency: int = 16, tries: int = 1) -> list[int]:
        """Deliver each body as Stripe does, again after anything but a 2xx, `tries` times at the most.

        Returns the last status of each; 0 where no answer came.
        """
        with httpx.Client(timeout=10, limits=httpx.Limits(max_connections=concurrency)) as client:

            def one(body: bytes) -> int:
                status = 0
                for attempt in range(tries):
                    if attempt:
                        time.sleep(min(0.05 * 2**attempt, 1))
                    try:
                        status = self.post(body, client).status_code
                    except httpx.HTTPError:
                        status = 0
                    if 200 <= status < 300:
                        break
                return status

            with ThreadPoolExecutor(concurrency) as pool:
                return list(pool.map(one, bodies))

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(sql), values))

    def count(self, sql: str, **values: Any) -> int:
        return int(self.rows(sql, **values)[0][0])

    def wait_applied(self, within_s: float = 30) -> None:
        """Wait until no event of the inbox is open."""
        wait_until(
            "every event is finished",
            lambda: (
                not self.rows(
                    "SELECT 1 FROM inbox WHERE status IN ('received','retrying','deferred') LIMIT 1"
                )
            ),
            within_s,
        )

    def payouts(self) -> dict[str, dict[str, Any]]:
        """What the service holds, in the form of the expectations."""
        rows = self.rows("SELECT stripe_id, status, amount_minor, currency, account FROM payouts")
        return {
            row.stripe_id: {
                "status": row.status,
                "amount_minor": row.amount_minor,
                "currency": row.currency,
                "account": row.account,
            }
            for row in rows
        }


def check_promises(
    stack: Stack, expected: dict[str, dict[str, Any] | None], bodies: Iterable[bytes] = ()
) -> None:
    """Every payout as expected, no event dead or lost, no outbox row twice, no transition backwards."""
    held = stack.payouts()
    wanted = {payout_id: state for payout_id, state in expected.items() if state is not None}
    assert held == wanted
    assert stack.rows("SELECT event_id, last_error FROM inbox WHERE status = 'dead'") == []
    assert stack.rows("SELECT payout_id, name FROM outbox GROUP BY payout_id, name HAVING COUNT(*) > 1") == []
    here = {event["id"] for event in map(json.loads, bodies) if not event["livemode"]}
    stored = {row.event_id for row in stack.rows("SELECT event_id FROM inbox")}
    assert here <= stored, f"lost: {sorted(here - stored)[:5]}"
    ranks = {None: -1, "pending": 0, "in_transit": 1, "paid": 2, "reversed": 2.5, "failed": 3, "canceled": 3}
    for row in stack.rows("SELECT payout_id, from_status, to_status FROM payout_transitions"):
        assert ranks[row.to_status] > ranks[row.from_status], f"backwards: {row}"
