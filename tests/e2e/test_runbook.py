"""The runbook, followed: each trouble is provoked, each command typed, and the page says when it is over."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.handbook import Reader, blocks_of, surroundings
from tests.support.incidents import READS_PER_MINUTE, Incidents
from tests.support.operator import Operator
from tests.support.payments import Payments
from tests.support.sandbox import ROOT, sandbox_process
from tests.support.servers import SqlServer, free_port, wait_until
from tests.support.stack import Stack

PAGE = ROOT / "docs" / "runbook.md"
CONTAINERS = "containers are tried by `make test-compose`"
REASONS = {
    "the test has addresses of its own",
    CONTAINERS,
    "nothing is dead here",
}
"""Why a block of the page may be left alone."""


class Processes(Incidents):
    """All processes on servers that can be broken."""

    def __init__(self, stack: Stack, database: SqlServer, payments: Payments) -> None:
        self.anna = Operator(stack, "anna")
        super().__init__(
            stack,
            payments,
            token=self.anna.settings["PAYOUTS_TOKEN"],
            api=f"http://127.0.0.1:{stack.env['API_PORT']}",
        )
        self.database = database

    @property
    def env(self) -> dict[str, str]:
        return surroundings(
            Path(sys.executable).parent,
            **self.anna.settings,
            VENDOR_STATUS_PAGES="",  # a test asks nobody's
            RECEIVER=f"http://127.0.0.1:{self.stack.port}",
            API=self.api,
            CONSOLE=f"http://127.0.0.1:{self.stack.env['CONSOLE_PORT']}",
        )

    def start(self) -> "Processes":
        self.stack.start("receiver", "worker", "scheduler")
        self.stack.launch("api", "api")
        self.stack.launch("console", "console.web")
        self.payments.ask_for(2)
        wait_until("two payouts are paid", lambda: self.payments.states() == {"paid": 2})
        return self

    def types(self, *words: str) -> str:
        return self.anna.types(*words)

    def database_dies(self) -> None:
        self.database.kill()
        self.stack.engine.dispose()

    def database_is_back(self) -> None:
        self.database.start()


@pytest.fixture
def service(breakable: Stack, breakable_mariadb: SqlServer) -> Iterator[Processes]:
    breakable.env |= {
        "API_PORT": str(free_port()),
        "CONSOLE_PORT": str(free_port()),
        "API_READS_PER_MINUTE": str(READS_PER_MINUTE),
        "PRACTICE_FAILURE": "true",
    }
    with sandbox_process() as sandbox:
        payments = Payments(breakable, sandbox, partners=1)
        yield Processes(breakable, breakable_mariadb, payments).start()


def test_whoever_follows_the_runbook_gets_over_each_trouble(service: Processes, tmp_path: Path) -> None:
    Reader(PAGE, service.env, tmp_path, service.scenes).follow(blocks_of(PAGE))


def test_what_the_runbook_does_not_try_has_a_known_reason() -> None:
    assert {block.not_run for block in blocks_of(PAGE)} - {None} <= REASONS
