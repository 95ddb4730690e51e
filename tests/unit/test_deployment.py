"""What deploys the service fits it: settings by their names, addresses that exist, times to drain."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.routing import Route

from api.server import DRAIN_WITHIN_S as API_DRAINS_S
from console.web.server import DRAIN_WITHIN_S as CONSOLE_DRAINS_S
from payouts.settings import Settings, load_settings
from payouts.version import VERSION
from webhooks.endpoint import MAX_BODY_BYTES
from webhooks.server import DRAIN_WITHIN_S as RECEIVER_DRAINS_S
from workers.app import STOP_WITHIN_MS

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ROLES = ("receiver", "worker", "scheduler", "api", "console")
SETTINGS = {name.upper() for name in Settings.model_fields}
DRAINS_S = {
    "receiver": RECEIVER_DRAINS_S,
    "api": API_DRAINS_S,
    "console": CONSOLE_DRAINS_S,
    "worker": STOP_WITHIN_MS / 1000,
    "scheduler": 0,
}
PORTS = {role: Settings.model_fields[f"{role}_port"].default for role in ("receiver", "api", "console")}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text()))


@pytest.fixture(scope="module")
def kubernetes() -> list[dict[str, Any]]:
    """Every object of the manifests."""
    named = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["resources"]
    files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(named) == files, "kustomization.yaml names each file"
    return [each for name in named for each in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())]


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, each in {**of_kind(objects, "Deployment"), **of_kind(objects, "Job")}.items():
        [container] = each["spec"]["template"]["spec"]["containers"]
        yield name, each["spec"]["template"]["spec"], container


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What each server answers to a GET."""
    import api.app
    import console.web.app
    import webhooks.app

    settings = load_settings(
        database_url=f"sqlite:///{tmp_path_factory.mktemp('db')}/payouts.db",
        redis_url="redis://127.0.0.1:1/0",
        stripe_webhook_secret="whsec_tests_only",
    )
    builders = {"receiver": webhooks.app, "api": api.app, "console": console.web.app}
    return {
        role: {each.path for each in module.build_app(settings).routes if isinstance(each, Route)}
        for role, module in builders.items()
    }


def test_every_variable_of_compose_is_a_setting(compose: dict[str, Any]) -> None:
    for role in (*ROLES, "migrate"):
        assert set(compose["services"][role]["environment"]) <= SETTINGS, role


def test_every_variable_of_kubernetes_is_a_setting(kubernetes: list[dict[str, Any]]) -> None:
    assert set(of_kind(kubernetes, "ConfigMap")["payouts"]["data"]) <= SETTINGS
    told = re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", (DEPLOY / "kubernetes/config.yaml").read_text())
    assert set(told) <= SETTINGS
    load_settings(
        database_url="sqlite://",
        redis_url="redis://x",
        **{k.lower(): v for k, v in of_kind(kubernetes, "ConfigMap")["payouts"]["data"].items()},
    )


def test_every_variable_of_the_image_is_a_setting() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    names = set(re.findall(r"\b([A-Z_]+)=", text)) - {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert names == {"RECEIVER_HOST", "API_HOST", "CONSOLE_HOST", "ALIVE_FILE"}
    assert names <= SETTINGS


def test_compose_gives_each_role_the_time_it_takes_to_drain(compose: dict[str, Any]) -> None:
    for role, needed_s in DRAINS_S.items():
        assert int(compose["services"][role]["stop_grace_period"].removesuffix("s")) > needed_s, role


def test_kubernetes_gives_each_role_the_time_it_takes_to_drain(kubernetes: list[dict[str, Any]]) -> None:
    for name, pod, container in pods(kubernetes):
        if name in DRAINS_S:
            before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [0, 0])
            assert pod["terminationGracePeriodSeconds"] > DRAINS_S[name] + int(before[1]), name


def test_health_checks_of_compose_ask_addresses_that_exist(
    compose: dict[str, Any], addresses: dict[str, set[str]]
) -> None:
    for role in PORTS:
        asked = compose["services"][role]["healthcheck"]["test"][-1]
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", asked)
        assert found, asked
        assert int(found[1]) == PORTS[role]
        assert found[2] in addresses[role], role


def test_probes_of_kubernetes_ask_addresses_that_exist(
    kubernetes: list[dict[str, Any]], addresses: dict[str, set[str]]
) -> None:
    seen = set()
    for name, _, container in pods(kubernetes):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                continue
            if "exec" in container[probe]:
                assert container[probe]["exec"]["command"] == ["python", "-m", "payouts.alive"]
                continue
            [port] = container["ports"]
            assert port["containerPort"] == PORTS[name]
            assert container[probe]["httpGet"]["path"] in addresses[name], (name, probe)
            seen.add((name, probe))
    assert {(role, probe) for role in PORTS for probe in ("livenessProbe", "readinessProbe")} <= seen


def test_the_proxy_asks_and_reaches_what_exists(addresses: dict[str, set[str]]) -> None:
    text = (DEPLOY / "proxy/haproxy.cfg").read_text()
    backends = dict(re.findall(r"^backend (\w+)\n(.*?)(?=^\w|\Z)", text, re.MULTILINE | re.DOTALL))
    for role, port in PORTS.items():
        asked = re.search(r"uri (\S+)", backends[role])
        assert asked, role
        assert asked[1] in addresses[role], role
        assert f"{role}:{port}" in backends[role]
    limits = {int(size) for size in re.findall(r"req\.body_size gt (\d+)", text)}
    assert limits == {MAX_BODY_BYTES}


def test_the_ingress_leads_to_services_and_they_to_pods(kubernetes: list[dict[str, Any]]) -> None:
    services, deployments = of_kind(kubernetes, "Service"), of_kind(kubernetes, "Deployment")
    for ingress in of_kind(kubernetes, "Ingress").values():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                assert path["backend"]["service"]["name"] in services
    for name, service in services.items():
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert deployments[name]["spec"]["selector"]["matchLabels"] == labels
    for kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject"):
        for each in of_kind(kubernetes, kind):
            assert each in deployments, (kind, each)
    several = {name for name, each in deployments.items() if each["spec"]["replicas"] > 1}
    assert several == set(of_kind(kubernetes, "PodDisruptionBudget"))


def test_no_pod_may_do_what_it_need_not(kubernetes: list[dict[str, Any]]) -> None:
    names = set()
    for name, pod, container in pods(kubernetes):
        names.add(name)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False, "links set RECEIVER_PORT to an address"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    assert names == {*ROLES, "migrate"}


def test_images_have_a_version_that_does_not_move(
    compose: dict[str, Any], kubernetes: list[dict[str, Any]]
) -> None:
    [image] = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["images"]
    assert image["newTag"] == VERSION
    assert {container["image"] for _, _, container in pods(kubernetes)} == {image["name"]}
    for name, service in compose["services"].items():
        assert re.search(r":[\w.-]*\w", service["image"]), name
        assert not service["image"].endswith(":latest")
