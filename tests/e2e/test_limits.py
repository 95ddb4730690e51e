"""Rate limits and blocks on real processes: two receivers behind a proxy, a flood, a block by command."""

import json
from pathlib import Path

import httpx

from payouts.access import Step, bootstrap
from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.people import BOOTSTRAP
from payouts.tokens import DEFAULT_DAYS
from tests.support.commands import run_here
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.servers import RedisServer, free_port, wait_until
from tests.support.stack import PATH, Stack

FLOODER, STRIPE = "203.0.113.9", "3.18.12.63"


def test_a_flood_is_limited_everywhere_and_blocked_while_events_go_on(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    url = migrated_file(tmp_path / "payouts.db")
    with Stack(
        tmp_path, url, redis_server.url, TRUSTED_PROXIES="127.0.0.1", RECEIVER_REFUSED_PER_MINUTE="5"
    ) as stack:
        with stack.engine.begin() as connection:
            token = bootstrap(Step(connection, IdMaker(), now_ms(), BOOTSTRAP), "olga", DEFAULT_DAYS).secret

        def command(*words: str) -> str:
            done = run_here(*words, **stack.env, PAYOUTS_TOKEN=token)
            assert done.returncode == 0, done.stderr
            return done.stdout

        def good(name: str, sender: str) -> int:
            body = event_body(f"evt_{name}", "paid", payout_object(f"po_{name}", "paid"))
            return stack.post(body, **{"X-Forwarded-For": sender}).status_code

        def rubbish(sender: str, port: int = stack.port) -> int:
            headers = {"Stripe-Signature": "t=1,v1=00", "X-Forwarded-For": f"{STRIPE}, {sender}"}
            url = f"http://127.0.0.1:{port}{PATH}"
            return httpx.post(url, content=b"{}", headers=headers, timeout=10).status_code

        # given two receivers behind one proxy
        other = free_port()
        stack.start("receiver")
        stack.launch("receiver:2", "webhooks", RECEIVER_PORT=str(other))

        # when somebody floods the first with rubbish
        assert [rubbish(FLOODER) for _ in range(8)] == [400] * 5 + [429] * 3

        # then both refuse it as too much, and Stripe's events are taken, even from that address
        wait_until("the other receiver starts", lambda: _answers(other))
        wait_until("the other one knows", lambda: rubbish(FLOODER, other) == 429)
        assert good("one", FLOODER) == 200
        assert good("two", STRIPE) == 200

        def busiest() -> set[tuple[str, str]]:
            found = json.loads(command("limits", "--json"))["busiest"]
            return {(each["route"], each["who"]) for each in found}

        # what a receiver refused it brings to Redis once a second
        wait_until("it is seen", lambda: ("receiver-refused", FLOODER) in busiest(), every_s=0.5)

        # when an operator blocks its network
        command("block", "203.0.113.0/24", "--for", "1h", "--reason", "a flood of forged deliveries")
        wait_until("it is blocked", lambda: rubbish(FLOODER) == 403 and rubbish(FLOODER, other) == 403)
        assert good("three", FLOODER) == 200, "what is signed is taken all the same"
        assert good("four", STRIPE) == 200

        # and lifts the block
        command("unblock", "203.0.113.0/24", "--reason", "their server is mended")
        wait_until("it is answered again", lambda: rubbish(FLOODER) in (400, 429))
        assert stack.count("SELECT COUNT(*) FROM inbox") == 4


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
