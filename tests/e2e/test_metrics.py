"""Every process exposes its part of the metrics, and together they expose all that there are."""

import httpx
import pytest

from payouts.metric_names import METRICS
from tests.support.lives import event_body, payout_object
from tests.support.scraped import Samples, names_in, scrape
from tests.support.servers import free_port, wait_until
from tests.support.stack import Stack

ROLES = ("receiver", "worker", "scheduler", "api", "console")
RARE = {
    "payouts_walk_interval_seconds": "catch-up is off in this stack, as there is no key of Stripe's",
    "payouts_walked_age_seconds": "as above",
    "payouts_proved_age_seconds": "as above",
    "payouts_database_connections": "of a server",
    "payouts_database_connections_limit": "of a server",
    "payouts_invariants_checked_age_seconds": "nothing was checked yet, or just now",
    "payouts_invariant_violations": "as above",
    "payouts_mode_age_seconds": "no mode is on",
    "payouts_rate_limit_refusals_total": "nobody went over a limit",
    "payouts_blocked_requests_total": "nobody is blocked",
    "payouts_rate_limit_hits_total": "the console has it from its first on",
}
"""Not told on SQLite, of a service that has just begun; `test_standing` has some of them."""


def has(stack: Stack, ports: dict[str, int], role: str) -> bool:
    try:
        # Not for the metrics themselves: what they tell of the service is kept for a while.
        return httpx.get(f"http://127.0.0.1:{ports[role]}/", timeout=5).status_code == 404
    except httpx.HTTPError:
        assert stack.is_running(role), stack.said(role)
        return False


def test_all_processes_expose_all_metrics(sqlite_stack: Stack) -> None:
    stack, ports = sqlite_stack, {role: free_port() for role in ROLES}
    api_port, console_port = free_port(), free_port()
    stack.env |= {"API_PORT": str(api_port), "CONSOLE_PORT": str(console_port)}
    for role in ROLES:
        stack.env["METRICS_PORT"] = str(ports[role])
        if role == "api":
            stack.launch(role, "api")
        elif role == "console":
            stack.launch(role, "console.web")
        else:
            stack.start(role)
    for role in ROLES:
        wait_until(f"{role} serves metrics", lambda role=role: has(stack, ports, role), 60)

    body = event_body("evt_1", "payout.created", payout_object("po_1", "pending"))
    assert stack.post(body).status_code == 200
    assert stack.post(body, **{"Stripe-Signature": "t=1,v1=00"}).status_code == 400
    assert httpx.get(f"http://127.0.0.1:{api_port}/api/v1/payouts", timeout=10).status_code == 401
    stack.wait_applied()
    found: dict[str, Samples] = {role: scrape(ports[role]) for role in ROLES}

    for role, samples in found.items():
        assert samples["payouts_process_info", role, version_in(samples)] == 1
        assert samples["payouts_errors_total",] == 0, stack.said(role)
        # Each has what the catalogue says that it has, and no more.
        expected = {m.name for m in METRICS.values() if m.who == "each process" or role in m.who.split(", ")}
        here = {name for name in names_in(samples) if not name.endswith("_created")}
        assert here - expected == set()
        assert expected - here <= RARE.keys(), role
    receiver, worker = found["receiver"], found["worker"]
    assert receiver["payouts_deliveries_total", "stored"] == 1
    assert receiver["payouts_signatures_rejected_total", "other"] == 1
    assert receiver["payouts_batch_events_count", "intake"] == 1
    assert receiver["payouts_http_request_seconds_count", "receiver"] == 2
    assert receiver["payouts_breaker_open", "database"] == 0
    assert worker["payouts_events_total", "applied"] == 1
    assert worker["payouts_events_total", "dead"] == 0
    assert worker["payouts_payout_moves_total", "pending"] == 1
    assert worker["payouts_pick_up_seconds_count",] == 1
    assert found["api"]["payouts_http_requests_total", "4xx", "api"] == 1

    # What is for the team is not on the ports of others.
    for port in (stack.port, api_port, console_port):
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
        assert "payouts_" not in answer.text
        assert answer.status_code in (303, 401, 404)


def version_in(samples: Samples) -> str:
    return next(key[2] for key in samples if key[0] == "payouts_process_info")


@pytest.mark.parametrize("module", [["webhooks"], ["workers", "worker"]])
def test_a_metrics_port_that_is_taken_stops_no_work_and_is_used_once_it_is_free(
    sqlite_stack: Stack, module: list[str]
) -> None:
    stack, port = sqlite_stack, free_port()
    stack.start("scheduler", METRICS_PORT=str(port))
    wait_until("it serves metrics", lambda: has(stack, {"scheduler": port}, "scheduler"), 60)

    stack.launch("second", *module, METRICS_PORT=str(port))
    wait_until("it says so", lambda: "metrics.not_served" in stack.said("second"), 60)
    assert f"metrics cannot be served at 127.0.0.1:{port}" in stack.said("second")
    assert "METRICS_PORT of its own" in stack.said("second")
    assert "Traceback" not in stack.said("second")
    if module == ["webhooks"]:
        body = event_body("evt_1", "payout.created", payout_object("po_1", "pending"))
        wait_until("it takes events", lambda: takes(stack, body), 60)

    stack.stop("scheduler")
    wait_until("it serves metrics", lambda: has(stack, {"second": port}, "second"), 60)


def takes(stack: Stack, body: bytes) -> bool:
    try:
        return stack.post(body).status_code == 200
    except httpx.HTTPError:
        return False
