"""The compose file, brought up on whatever Docker engine answers, under a project of the test's own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path

import httpx

from tests.support.lives import Lives
from tests.support.senders import Senders, check_applied_once, check_kept
from tests.support.servers import free_port, wait_until
from tests.support.stack import SECRET, Stack, check_promises

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = "payoutstest"
IMAGE = "payouts:test"
DOCKER = REPOSITORY / "deploy" / "ci" / "docker"
"""With a `docker compose`, also where only the older docker-compose is."""
FILES = ("docker-compose.yml", "deploy/ci/compose.tests.yml")
PASSWORD = "tests-only"
UP_WITHIN_S = 240
ROLES = ("proxy", "receiver", "worker", "scheduler", "api", "console")
STORES = ("mysql", "redis", "prometheus", "alertmanager")


def why_no_engine() -> str | None:
    """Why the compose file cannot be brought up here; None where it can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if _answers("docker", "compose", "version") is None and shutil.which("docker-compose") is None:
        return "neither `docker compose` nor docker-compose is installed"
    if _answers("docker", "info") is None:
        return "no Docker engine answers: `make test-compose` starts one"
    return None


def _answers(*command: str) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout


def docker(*words: str, env: Mapping[str, str] | None = None) -> str:
    """What `docker` prints; a failure of it fails the test with what it said."""
    done = subprocess.run([DOCKER, *words], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


class Deployment:
    """The whole service in containers, and all that was delivered to it so far."""

    def __init__(self, folder: Path, *more_files: str) -> None:
        """`more_files`: of compose, added to FILES. Secrets are in files, as `keep_secret` writes them."""
        self.proxy_port, self.console_port, self.mysql_port = free_port(), free_port(), free_port()
        self.prometheus_port, self.alertmanager_port = free_port(), free_port()
        self.secrets = folder / "secrets"
        (self.secrets / "mysql").mkdir(parents=True)
        self.keep_secret("mysql/database_password", PASSWORD)
        self.keep_secret("stripe_webhook_secret", SECRET)
        self.env = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_FILE": os.pathsep.join(str(REPOSITORY / name) for name in (*FILES, *more_files)),
            "PAYOUTS_IMAGE": IMAGE,
            "PAYOUTS_SECRETS": str(self.secrets),
            "MYSQL_PASSWORD": "",
            "STRIPE_WEBHOOK_SECRET": "",
            "PROXY_PORT": str(self.proxy_port),
            "CONSOLE_PORT": str(self.console_port),
            "MYSQL_PORT": str(self.mysql_port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "ALERTMANAGER_PORT": str(self.alertmanager_port),
        }
        database = f"mysql://payouts:{PASSWORD}@127.0.0.1:{self.mysql_port}/payouts"
        self.stack = Stack(folder, database, "redis://unused", RECEIVER_PORT=str(self.proxy_port))
        self.stack.port = self.proxy_port
        self.stack.url = f"http://127.0.0.1:{self.proxy_port}/api/webhooks/stripe"
        self.lives = Lives()
        self._acknowledged: set[str] = set()

    def keep_secret(self, name: str, secret: str) -> None:
        """Write a secret as the docs say: beside the one before, then in its place."""
        new = self.secrets / f".{name.replace('/', '-')}"
        new.write_text(secret)
        new.rename(self.secrets / name)

    def compose(self, *words: str) -> None:
        docker("compose", *words, env=self.env)

    def up(self, *words: str) -> None:
        """Bring everything up and wait until each container is healthy, and the proxy has a receiver."""
        self.compose("up", "-d", "--no-build", "--wait", *words)
        wait_until("the proxy has a receiver", self.is_serving, UP_WITHIN_S, 0.3)

    def down(self) -> None:
        self.stack.engine.dispose()
        self.compose("down", "--volumes", "--timeout", "5")

    def containers(self, service: str) -> list[str]:
        """The ids of the containers of a service, those that ended left out."""
        return docker(
            *("ps", "--quiet", "--no-trunc"),
            *("--filter", f"label=com.docker.compose.project={PROJECT}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        ).split()

    def gateway(self) -> str:
        """The address at which this machine is seen from the network `front`, which must be there."""
        subnet = docker(
            "network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", f"{PROJECT}_front"
        )
        return str(next(ip_network(subnet).hosts()))  # the first one is the engine's own

    def wait_healthy(self, *services: str, within_s: float = UP_WITHIN_S) -> None:
        for service in services or (*STORES, *ROLES):
            wait_until(f"{service} is healthy", lambda name=service: self.is_healthy(name), within_s, 0.3)
        wait_until("the proxy has a receiver", self.is_serving, within_s, 0.3)

    def is_healthy(self, service: str) -> bool:
        containers = self.containers(service)
        return bool(containers) and all(_state(each, ".Health.Status") == "healthy" for each in containers)

    def is_serving(self) -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.proxy_port}/api/health", timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def crash(self, container: str) -> None:
        """kill -9 of its first process from outside: for the engine a crash, after which it starts it again.
        (What `docker kill` ends stays ended.)"""
        os.kill(int(_state(container, ".Pid")), signal.SIGKILL)

    def begin(self, lives: Lives, concurrency: int = 8, pause_s: float = 0.0) -> Senders:
        """Begin to deliver `lives` through the proxy, again after anything but a 2xx, as Stripe does."""
        self.lives.bodies += lives.bodies
        self.lives.expected.update(lives.expected)
        return Senders(self.stack, lives.bodies, concurrency, tries=200, pause_s=pause_s).start()

    def finish(self, senders: Senders, within_s: float = 120) -> None:
        """Wait until all is delivered and applied, then check every promise for all that ever came."""
        senders.join(within_s)
        assert senders.left_out == []
        self._acknowledged |= senders.acknowledged
        self.stack.engine.dispose()
        self.stack.wait_applied(within_s)
        check_kept(self.stack, self._acknowledged, self.lives.bodies)
        check_promises(self.stack, self.lives.expected, self.lives.bodies)
        check_applied_once(self.stack)

    def restart_one_by_one(self, service: str, meanwhile: Callable[[], object]) -> None:
        """A rolling restart: each container is stopped as the deployment stops it, and waited for."""
        for container in self.containers(service):
            assert meanwhile(), "the load was over before the restart was"
            docker("restart", "--time", "30", container)
            wait_until(
                f"{service} is back", lambda each=container: _state(each, ".Health.Status") == "healthy", 90
            )


def new_version() -> str:
    """The name of an image that is another one, with the same in it."""
    name = f"{IMAGE}-next"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", name, "-"],
        input=f"FROM {IMAGE}\nLABEL payouts.test=next\n".encode(),
        capture_output=True,
        check=True,
    )
    return name


def _state(container: str, what: str) -> str:
    return docker("inspect", "--format", "{{.State" + what + "}}", container)


def inspect(containers: Sequence[str], what: str) -> list[str]:
    """One fact of each container, by the engine's own template."""
    return [docker("inspect", "--format", "{{" + what + "}}", each) for each in containers]


def build_images() -> None:
    """The stand-ins for the official images where they cannot be had, and the image of the service."""
    done = subprocess.run(["deploy/ci/images"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    docker(
        "build", "--quiet", "--tag", IMAGE, "--file", str(REPOSITORY / "deploy/Dockerfile"), str(REPOSITORY)
    )
