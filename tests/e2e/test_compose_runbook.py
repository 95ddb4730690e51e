"""The runbook, followed on the compose file as it is deployed: each trouble is provoked in its containers,
each command of the page typed as an operator of it would, and the page says when it is over.

`make test-compose` runs it, beside tests/e2e/test_compose.py. tests/e2e/test_runbook.py follows the same page
on processes, where there is no Docker engine.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_runbook import CONTAINERS, PAGE
from tests.support.compose import (
    DOCKER,
    PASSWORD,
    REPOSITORY,
    Deployment,
    build_images,
    docker,
    why_no_engine,
)
from tests.support.handbook import Reader, blocks_of, surroundings
from tests.support.incidents import Incidents
from tests.support.payments import Payments, make_endpoints
from tests.support.sandbox import KEY, Sandbox
from tests.support.servers import free_port, wait_until

SANDBOX_FILE = "deploy/ci/compose.sandbox.yml"

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(bool(why_no_engine()), reason=f"left out: {why_no_engine()}"),
]


class Containers(Incidents):
    """The deployment on a sandbox in a container of its own, which delivers to the proxy."""

    def __init__(self, deployment: Deployment, payments: Payments, token: str) -> None:
        proxy = f"http://127.0.0.1:{deployment.proxy_port}"
        super().__init__(deployment.stack, payments, token, api=proxy)
        self.deployment = deployment

    @property
    def env(self) -> dict[str, str]:
        folders = os.pathsep.join(str(folder) for folder in (DOCKER.parent, REPOSITORY / "deploy"))
        proxy = f"http://127.0.0.1:{self.deployment.proxy_port}"
        console = f"http://127.0.0.1:{self.deployment.console_port}"
        given = {name: value for name, value in self.deployment.env.items() if name != "PATH"}
        return given | surroundings(
            Path(folders), PAYOUTS_TOKEN=self.token, RECEIVER=proxy, API=proxy, CONSOLE=console
        )

    def types(self, *words: str) -> str:
        return type_payouts(self.deployment, *words, PAYOUTS_TOKEN=self.token)

    def database_dies(self) -> None:
        docker("kill", *self.deployment.containers("mysql"))
        self.stack.engine.dispose()

    def database_is_back(self) -> None:
        self.deployment.compose("start", "mysql")
        self.deployment.wait_healthy("mysql")


def type_payouts(deployment: Deployment, *words: str, **env: str) -> str:
    """What `deploy/payouts` says on its standard output."""
    around = {**deployment.env, "PATH": f"{DOCKER.parent}{os.pathsep}{deployment.env['PATH']}", **env}
    command = [REPOSITORY / "deploy" / "payouts", *words]
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"payouts {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def is_up(sandbox: Sandbox) -> bool:
    try:
        return bool(sandbox.about())
    except httpx.HTTPError:
        return False


def begin(deployment: Deployment) -> Containers:
    """Bring all of it up, and have two payouts paid. What Stripe signs with is known before all else is up."""
    port = free_port()
    (deployment.secrets / "mysql" / "database_password").unlink()
    deployment.env |= {"SANDBOX_PORT": str(port), "STRIPE_API_KEY": KEY, "MYSQL_PASSWORD": PASSWORD}
    deployment.compose("up", "-d", "--no-build", "stripe")
    sandbox = Sandbox(f"http://127.0.0.1:{port}")
    wait_until("the sandbox answers", lambda: is_up(sandbox))
    secrets = make_endpoints(sandbox, "http://proxy:8080/api/webhooks/stripe")
    for name, secret in secrets.items():
        deployment.keep_secret(name.lower(), secret)
    deployment.up()
    token = type_payouts(deployment, "people", "add", "anna", "--role", "admin").split()[-1]
    payments = Payments(deployment.stack, sandbox, 1, secrets)
    payments.ask_for(2)
    wait_until("two payouts are paid", lambda: payments.states() == {"paid": 2})
    return Containers(deployment, payments, token)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    build_images()
    deployment = Deployment(tmp_path_factory.mktemp("compose"), SANDBOX_FILE)
    try:
        yield begin(deployment)
    finally:
        deployment.down()


def test_whoever_follows_the_runbook_gets_over_each_trouble_of_the_deployment(
    service: Containers, tmp_path: Path
) -> None:
    Reader(PAGE, service.env, tmp_path, service.scenes, runs=frozenset({CONTAINERS})).follow(blocks_of(PAGE))
