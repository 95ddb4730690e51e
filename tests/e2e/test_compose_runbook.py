"""The runbook, followed on the compose file as it is deployed: each trouble is provoked in its containers,
each command of the page typed as an operator of it would, and the page says when it is over.

`make test-compose` runs it, beside tests/e2e/test_compose.py. tests/e2e/test_runbook.py follows the same page
on processes, where there is no Docker engine.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from payouts.stripe_addresses import SNAPSHOT
from tests.e2e.test_runbook import CONTAINERS, PAGE
from tests.support.compose import (
    DOCKER,
    PASSWORD,
    PROJECT,
    REPOSITORY,
    Deployment,
    build_images,
    docker,
    inspect,
    why_no_engine,
)
from tests.support.handbook import Reader, blocks_of, surroundings
from tests.support.incidents import NEW_SECRET, Incidents
from tests.support.payments import Payments, make_endpoints
from tests.support.refusing import RefusingPortal, refusing_portal
from tests.support.sandbox import KEY, Sandbox
from tests.support.servers import free_port, wait_until

SANDBOX_FILE = "deploy/ci/compose.sandbox.yml"

pytestmark = [
    pytest.mark.compose,
    pytest.mark.long,  # every command starts in a container, and alerts take the time that they take
    pytest.mark.skipif(bool(why_no_engine()), reason=f"left out: {why_no_engine()}"),
]


class Containers(Incidents):
    """The deployment on a sandbox in a container of its own, which delivers to the proxy."""

    def __init__(
        self, deployment: Deployment, payments: Payments, portal: RefusingPortal, secret: str, token: str
    ) -> None:
        proxy = f"http://127.0.0.1:{deployment.proxy_port}"
        super().__init__(deployment.stack, payments, portal, secret, token, api=proxy)
        self.deployment = deployment

    @property
    def env(self) -> dict[str, str]:
        folders = os.pathsep.join(str(folder) for folder in (DOCKER.parent, REPOSITORY / "deploy"))
        proxy = f"http://127.0.0.1:{self.deployment.proxy_port}"
        console = f"http://127.0.0.1:{self.deployment.console_port}"
        given = {name: value for name, value in self.deployment.env.items() if name != "PATH"}
        return given | surroundings(
            Path(folders),
            PAYOUTS_TOKEN=self.token,
            RECEIVER=proxy,
            API=proxy,
            CONSOLE=console,
            SECRETS=str(self.deployment.secrets),
            NEW_SECRET=NEW_SECRET,
        )

    def types(self, *words: str) -> str:
        return type_payouts(self.deployment, *words, PAYOUTS_TOKEN=self.token)

    def database_dies(self) -> None:
        docker("kill", *self.deployment.containers("mysql"))
        self.stack.engine.dispose()

    def database_is_back(self) -> None:
        self.deployment.compose("start", "mysql")
        self.deployment.wait_healthy("mysql")

    def database_hangs(self) -> None:
        docker("pause", *self.deployment.containers("mysql"))

    def database_goes_on(self) -> None:
        docker("unpause", *self.deployment.containers("mysql"))

    def workers_are_gone(self) -> None:
        docker("kill", *self.deployment.containers("worker"))

    def workers_are_started(self) -> None:
        """By the page: `docker compose up`."""

    def secret_is_rolled(self, **headers: str) -> None:
        """Delivered past the proxy, and in its place: it would say that Stripe's sender is this machine."""
        proxy, [receiver, *_] = self.stack.url, self.deployment.containers("receiver")
        [address] = inspect([receiver], f'(index .NetworkSettings.Networks "{PROJECT}_front").IPAddress')
        self.stack.url = f"http://{address}:8080/api/webhooks/stripe"
        super().secret_is_rolled(**{"X-Forwarded-For": str(next(iter(SNAPSHOT)).network_address)})
        self.stack.url = proxy

    def redis(self, *words: str) -> str:
        [redis] = self.deployment.containers("redis")
        return docker("exec", redis, "redis-cli", *words)

    def hears(self, alert: str, anchor: str) -> None:
        """Wait until Prometheus fires the alert and Alertmanager has it, with a link to this anchor."""
        wait_until(f"{alert} fires", lambda: self._links("prometheus", alert) == {anchor}, 90, 0.5)
        wait_until(f"{alert} is handed on", lambda: self._links("alertmanager", alert) == {anchor}, 30, 0.5)

    def _links(self, service: str, alert: str) -> set[str]:
        """The anchors that alerts of this name which fire lead to."""
        if service == "prometheus":
            address = f"http://127.0.0.1:{self.deployment.prometheus_port}/api/v1/alerts"
            firing = [
                each for each in httpx.get(address).json()["data"]["alerts"] if each["state"] == "firing"
            ]
        else:
            firing = httpx.get(f"http://127.0.0.1:{self.deployment.alertmanager_port}/api/v2/alerts").json()
        links = [
            each["annotations"]["runbook_url"] for each in firing if each["labels"]["alertname"] == alert
        ]
        return {link.rpartition("#")[2] for link in links}


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


def quick_prometheus(folder: Path) -> Path:
    """The rules as they are, but looked at each second or two, and their patience in seconds for minutes."""
    made = folder / "prometheus"
    shutil.copytree(REPOSITORY / "deploy" / "prometheus", made)
    for file in (made / "prometheus.yml", *(made / "rules").iterdir()):
        text = re.sub(
            r"(scrape_interval|evaluation_interval|refresh_interval|scrape_timeout): \d+s",
            r"\1: 2s",
            file.read_text(),
        )
        file.write_text(re.sub(r"( for:) \d+m\b", r"\1 2s", text))
    return made


def begin(deployment: Deployment, folder: Path, rest: ExitStack) -> Containers:
    """Bring all of it up, and have two payouts paid."""
    port = free_port()
    (deployment.secrets / "mysql" / "database_password").unlink()
    deployment.env |= {"SANDBOX_PORT": str(port), "STRIPE_API_KEY": KEY, "MYSQL_PASSWORD": PASSWORD}
    deployment.env |= {"PROMETHEUS_FOLDER": str(quick_prometheus(folder)), "PORTAL_CERTIFICATE": os.devnull}
    deployment.compose("up", "-d", "--no-build", "stripe")
    sandbox = Sandbox(f"http://127.0.0.1:{port}")
    rest.callback(sandbox.close)
    wait_until("the sandbox answers", lambda: is_up(sandbox))
    # Its network is there by now, so that the portal can listen where containers reach this machine.
    portal = rest.enter_context(refusing_portal(deployment.gateway(), folder))
    deployment.env |= {**portal.settings, "PORTAL_CERTIFICATE": str(portal.certificate)}
    secrets = make_endpoints(sandbox, "http://proxy:8080/api/webhooks/stripe")
    for name, secret in secrets.items():
        deployment.keep_secret(name.lower(), secret)
    deployment.up()
    token = type_payouts(deployment, "people", "add", "anna", "--role", "admin").split()[-1]
    payments = Payments(deployment.stack, sandbox, 1, secrets)
    made = Containers(deployment, payments, portal, secrets["STRIPE_CONNECT_WEBHOOK_SECRET"], token)
    made.begin()
    return made


def reader(service: Containers, folder: Path) -> Reader:
    """Somebody who follows the page on the deployment, its blocks for containers as well."""
    runs = frozenset({CONTAINERS})
    return Reader(PAGE, service.env, folder, service.scenes, runs=runs, hears=service.hears)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    build_images()
    folder = tmp_path_factory.mktemp("compose")
    deployment = Deployment(folder, SANDBOX_FILE)
    with ExitStack() as rest:
        rest.callback(deployment.down)
        yield begin(deployment, folder, rest)


def test_whoever_follows_the_runbook_gets_over_each_trouble_of_the_deployment(
    service: Containers, tmp_path: Path
) -> None:
    reader(service, tmp_path).follow(blocks_of(PAGE))
