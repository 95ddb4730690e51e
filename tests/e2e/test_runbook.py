"""The runbook, followed: each trouble is provoked, each command typed, and the page says when it is over."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.handbook import Reader, blocks_of, surroundings
from tests.support.incidents import NEW_SECRET, READS_PER_MINUTE, Incidents
from tests.support.operator import Operator
from tests.support.payments import Payments
from tests.support.refusing import RefusingPortal, refusing_portal
from tests.support.sandbox import ROOT, sandbox_process
from tests.support.servers import RedisServer, SqlServer, free_port
from tests.support.stack import Stack

PAGE = ROOT / "docs" / "runbook.md"
CONTAINERS = "containers are tried by `make test-compose`"
REASONS = {
    "the test has addresses of its own",
    CONTAINERS,
}
"""Why a block of the page may be left alone."""


class Processes(Incidents):
    """All processes on servers that can be broken."""

    def __init__(
        self,
        stack: Stack,
        database: SqlServer,
        redis: RedisServer,
        payments: Payments,
        portal: RefusingPortal,
        secrets: Path,
    ) -> None:
        """`secrets`: the folder where they are."""
        secret = (secrets / "stripe_connect_webhook_secret").read_text()
        self.anna = Operator(stack, "anna")
        super().__init__(
            stack,
            payments,
            portal,
            secret,
            token=self.anna.settings["PAYOUTS_TOKEN"],
            api=f"http://127.0.0.1:{stack.env['API_PORT']}",
        )
        self.database, self.own_redis, self.secrets = database, redis, secrets

    @property
    def env(self) -> dict[str, str]:
        return surroundings(
            Path(sys.executable).parent,
            **self.anna.settings,
            VENDOR_STATUS_PAGES="",  # a test asks nobody's
            SECRETS=str(self.secrets),
            NEW_SECRET=NEW_SECRET,
            RECEIVER=f"http://127.0.0.1:{self.stack.port}",
            API=self.api,
            CONSOLE=f"http://127.0.0.1:{self.stack.env['CONSOLE_PORT']}",
        )

    def start(self) -> "Processes":
        self.stack.start("receiver", "worker", "scheduler")
        self.stack.launch("api", "api")
        self.stack.launch("console", "console.web")
        self.begin()
        return self

    def types(self, *words: str) -> str:
        return self.anna.types(*words)

    def database_dies(self) -> None:
        self.database.kill()
        self.stack.engine.dispose()

    def database_is_back(self) -> None:
        self.database.start()

    def database_hangs(self) -> None:
        self.database.freeze()

    def database_goes_on(self) -> None:
        self.database.thaw()

    def workers_are_gone(self) -> None:
        self.stack.kill("worker")

    def workers_are_started(self) -> None:
        self.stack.start("worker")

    def redis(self, *words: str) -> str:
        with self.own_redis.client as client:
            answer = client.execute_command(*words)
        return answer.decode() if isinstance(answer, bytes) else str(answer)


@pytest.fixture
def service(
    breakable: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer, tmp_path: Path
) -> Iterator[Processes]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    breakable.env |= {
        "API_PORT": str(free_port()),
        "CONSOLE_PORT": str(free_port()),
        "API_READS_PER_MINUTE": str(READS_PER_MINUTE),
        "PRACTICE_FAILURE": "true",
    }
    with sandbox_process() as sandbox, refusing_portal() as portal:
        payments = Payments(breakable, sandbox, partners=1)
        breakable.env |= {**portal.settings, "SECRETS_DIR": str(secrets)}
        for name in ("STRIPE_WEBHOOK_SECRET", "STRIPE_CONNECT_WEBHOOK_SECRET"):
            (secrets / name.lower()).write_text(breakable.env.pop(name))
        made = Processes(breakable, breakable_mariadb, own_redis, payments, portal, secrets)
        yield made.start()


def test_whoever_follows_the_runbook_gets_over_each_trouble(service: Processes, tmp_path: Path) -> None:
    Reader(PAGE, service.env, tmp_path, service.scenes).follow(blocks_of(PAGE))


def test_what_the_runbook_does_not_try_has_a_known_reason() -> None:
    assert {block.not_run for block in blocks_of(PAGE)} - {None} <= REASONS
