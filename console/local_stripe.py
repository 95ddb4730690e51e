"""The Stripe of the embedded default: the sandbox, private to one folder, with the folder's endpoints."""

import os
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

from console.data_dir import DataDir, free_port, is_free
from console.supervisor import Child
from payouts.errors import PayoutsError
from payouts.gateway import API_VERSION

if TYPE_CHECKING:
    import httpx

START_WITHIN_S = 20.0
ENDPOINTS = {"platform": "false", "connect": "true"}
"""The two endpoints of a platform, with Stripe's `connect` of each."""


def stripe_child(folder: DataDir) -> Child:
    """The sandbox as a process to start: on 127.0.0.1 alone, its state in the folder."""
    kept = folder.read().get("stripe", {})
    port = kept.get("port")
    if port is None or not is_free(port):
        port = free_port()
    key = kept.get("key") or "sk_test_" + secrets.token_hex(16)
    folder.keep_stripe({**kept, "port": port, "key": key})
    file = folder.path.resolve() / "stripe.db"
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--file", str(file)]
    return Child("stripe", command, {**os.environ, "PYTHONUNBUFFERED": "1"})


def prepare_endpoints(folder: DataDir, child: Child, webhook_url: str) -> None:
    """Wait for the sandbox, and have it deliver to `webhook_url`; the secrets stay in the folder.

    Raises PayoutsError where the sandbox does not answer.
    """
    import httpx

    kept = folder.read()["stripe"]
    base = f"http://127.0.0.1:{kept['port']}"
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {kept['key']}"}, timeout=10) as http:
        _wait(http, child)
        for name, connect in ENDPOINTS.items():
            kept[name] = _endpoint(http, kept.get(name), webhook_url, connect)
            folder.keep_stripe(kept)


def _wait(http: "httpx.Client", child: Child) -> None:
    import httpx

    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            http.get("/v1/balance").raise_for_status()
        except httpx.HTTPError as error:
            if time.monotonic() > deadline or (child.process and child.process.poll() is not None):
                raise PayoutsError(f"the sandbox that stands for Stripe does not answer: {error}") from None
            time.sleep(0.05)
        else:
            return


def _endpoint(http: "httpx.Client", known: dict[str, str] | None, url: str, connect: str) -> dict[str, str]:
    if known is not None:
        answer = http.post(f"/v1/webhook_endpoints/{known['id']}", data={"url": url})
        if answer.is_success:
            return known
    data = {"url": url, "enabled_events[]": "*", "connect": connect, "api_version": API_VERSION}
    made: dict[str, Any] = http.post("/v1/webhook_endpoints", data=data).raise_for_status().json()
    return {"id": made["id"], "secret": made["secret"]}
