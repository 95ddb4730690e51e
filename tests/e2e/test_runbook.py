"""The runbook, followed: each trouble is provoked, each command typed, and the page says when it is over."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.handbook import Reader, blocks_of, surroundings
from tests.support.lives import event_body, payout_object
from tests.support.operator import Operator
from tests.support.payments import Payments
from tests.support.sandbox import ROOT, sandbox_process
from tests.support.servers import RedisServer, SqlServer, free_port, wait_until
from tests.support.stack import Stack, signature

PAGE = ROOT / "docs" / "runbook.md"
REASONS = {
    "the test has addresses of its own",
    "containers are tried by `make test-compose`",
    "nothing is dead here",
}
"""Why a block of the page may be left alone."""
READS_PER_MINUTE = 20


class Service:
    """All processes on servers that can be broken, and what the page's scenes do to them."""

    def __init__(self, stack: Stack, database: SqlServer, redis: RedisServer, payments: Payments) -> None:
        self.stack, self.database, self.redis, self.payments = stack, database, redis, payments
        self.anna = Operator(stack, "anna")
        self.scenes = {
            "the database dies": self.database_dies,
            "events come": self.events_come,
            "the database is back": self.database.start,
            "somebody calls too often": self.too_many_calls,
            "an event dies": self.an_event_dies,
            "a payout is requested while everything is stopped": self.a_payout_waits,
        }

    @property
    def env(self) -> dict[str, str]:
        ports = self.stack.env
        return surroundings(
            Path(sys.executable).parent,
            **self.anna.settings,
            VENDOR_STATUS_PAGES="",  # a test asks nobody's
            RECEIVER=f"http://127.0.0.1:{self.stack.port}",
            API=f"http://127.0.0.1:{ports['API_PORT']}",
            CONSOLE=f"http://127.0.0.1:{ports['CONSOLE_PORT']}",
        )

    def start(self) -> "Service":
        self.stack.start("receiver", "worker", "scheduler")
        self.stack.launch("api", "api")
        self.stack.launch("console", "console.web")
        self.payments.ask_for(2)
        wait_until("two payouts are paid", lambda: self.payments.states() == {"paid": 2})
        return self

    def database_dies(self) -> None:
        self.database.kill()
        self.stack.engine.dispose()

    def events_come(self) -> None:
        bodies = [
            event_body(f"evt_while_{number}", "created", payout_object(f"po_while_{number}", "pending"))
            for number in range(3)
        ]
        self.deliver(*bodies)

    def too_many_calls(self) -> None:
        headers = {"Authorization": f"Bearer {self.anna.settings['PAYOUTS_TOKEN']}"}
        with httpx.Client(base_url=self.env["API"], headers=headers, timeout=20) as portal:
            statuses = [portal.get("/api/v1/payouts").status_code for _ in range(READS_PER_MINUTE + 5)]
        assert 429 in statuses

    def an_event_dies(self) -> None:
        payout = payout_object("po_practice", "paid", statement_descriptor="PRACTICE")
        self.deliver(event_body("evt_practice", "paid", payout))

    def deliver(self, *bodies: bytes) -> None:
        secret = self.stack.env["STRIPE_CONNECT_WEBHOOK_SECRET"]
        for body in bodies:
            assert self.stack.post(body, **{"Stripe-Signature": signature(body, secret)}).status_code == 200

    def a_payout_waits(self) -> None:
        self.anna.types("stop", "--reason", "somebody was worried")
        self.payments.ask_for(1)


@pytest.fixture
def service(breakable: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer) -> Iterator[Service]:
    breakable.env |= {
        "API_PORT": str(free_port()),
        "CONSOLE_PORT": str(free_port()),
        "API_READS_PER_MINUTE": str(READS_PER_MINUTE),
        "PRACTICE_FAILURE": "true",
    }
    with sandbox_process() as sandbox:
        payments = Payments(breakable, sandbox, partners=1)
        yield Service(breakable, breakable_mariadb, own_redis, payments).start()


def test_whoever_follows_the_runbook_gets_over_each_trouble(service: Service, tmp_path: Path) -> None:
    Reader(PAGE, service.env, tmp_path, service.scenes).follow(blocks_of(PAGE))


def test_what_the_runbook_does_not_try_has_a_known_reason() -> None:
    assert {block.not_run for block in blocks_of(PAGE)} - {None} <= REASONS
