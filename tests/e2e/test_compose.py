"""The compose file as it is, in a Docker engine: all roles come up, each recovers from a crash, and no event
is lost or doubled by a rolling restart, by MySQL going away, or by a Redis that forgot everything.

`make test-compose` runs it. The images are stand-ins of Debian's packages (deploy/ci/images); the Dockerfile
and the compose file are those that are deployed.
"""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support.compose import (
    PASSWORD,
    ROLES,
    STORES,
    Deployment,
    build_images,
    docker,
    inspect,
    new_version,
    why_no_engine,
)
from tests.support.lives import make_lives, shared_lives
from tests.support.servers import wait_until
from tests.support.stack import SECRET, signature

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(bool(why_no_engine()), reason=f"left out: {why_no_engine()}"),
]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    build_images()
    made = Deployment(tmp_path_factory.mktemp("compose"))
    try:
        made.up()
        yield made
    finally:
        made.down()


def test_all_come_up_and_what_is_delivered_through_the_proxy_is_applied(deployment: Deployment) -> None:
    counts = {service: len(deployment.containers(service)) for service in (*ROLES, *STORES)}
    assert counts == {**dict.fromkeys((*ROLES, *STORES), 1), "receiver": 2, "worker": 2}

    deployment.finish(deployment.begin(make_lives(120, seed=501)))

    proxy = f"http://127.0.0.1:{deployment.proxy_port}"
    assert httpx.get(f"{proxy}/api/v1/live").status_code == 200
    assert httpx.get(f"{proxy}/metrics").status_code == 404
    assert httpx.post(f"{proxy}/api/webhooks/stripe", content=b"x" * 1_048_577).status_code == 413
    assert httpx.get(f"http://127.0.0.1:{deployment.console_port}/sign-in").status_code == 200
    assert httpx.get(f"http://127.0.0.1:{deployment.prometheus_port}/-/ready").status_code == 200
    assert httpx.get(f"http://127.0.0.1:{deployment.alertmanager_port}/-/ready").status_code == 200


def test_no_container_is_root_or_may_write_to_its_image(deployment: Deployment) -> None:
    for service in (*ROLES, *STORES):
        containers = deployment.containers(service)
        assert set(inspect(containers, ".HostConfig.ReadonlyRootfs")) == {"true"}, service
        assert set(inspect(containers, ".HostConfig.CapDrop")) == {"[ALL]"}, service
        assert set(inspect(containers, ".HostConfig.SecurityOpt")) == {"[no-new-privileges:true]"}, service
        assert set(inspect(containers, ".HostConfig.RestartPolicy.Name")) == {"unless-stopped"}, service
        assert "0" not in inspect(containers, ".HostConfig.Memory"), service
        for container in containers:
            # As the kernel sees them, whatever the image says: user, and none of root's privileges.
            status = docker("exec", container, "cat", "/proc/1/status")
            facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert facts["Uid"].split("\t")[0] != "0", service
            assert int(facts["CapEff"], 16) == 0, service
            assert facts["NoNewPrivs"] == "1", service


def test_a_secret_that_changes_in_its_file_is_followed_without_a_restart(deployment: Deployment) -> None:
    started = inspect(deployment.containers("receiver"), ".State.StartedAt")
    lives = make_lives(1, seed=502)
    body = lives.bodies[0]

    def taken(secret: str) -> bool:
        answer = deployment.stack.post(body, **{"Stripe-Signature": signature(body, secret)})
        return answer.status_code == 200

    assert not taken("whsec_rolled")
    deployment.keep_secret("stripe_webhook_secret", f"whsec_rolled,{SECRET}")
    # Several in a row: each receiver looks at the file by itself.
    wait_until("the new secret is taken", lambda: all(taken("whsec_rolled") for _ in range(8)), 30, 0.2)
    assert taken(SECRET), "both hold meanwhile"
    assert inspect(deployment.containers("receiver"), ".State.StartedAt") == started

    # Nothing of it is in the environment, where `docker inspect` would show it.
    for service in (*ROLES, "mysql"):
        [shown] = set(inspect(deployment.containers(service), "json .Config.Env"))
        assert SECRET not in shown, service
        assert PASSWORD not in shown, service

    deployment.finish(deployment.begin(lives))


@pytest.mark.long
def test_the_corpus_ends_where_it_must(deployment: Deployment) -> None:
    lives = shared_lives()
    if lives is None:
        pytest.skip("there is no corpus of deliveries beside the checkout")
    deployment.finish(deployment.begin(lives, concurrency=16), 400)


@pytest.mark.long
@pytest.mark.parametrize("service", ROLES)
def test_a_crashed_container_is_started_again_and_nothing_is_lost(
    deployment: Deployment, service: str
) -> None:
    container = deployment.containers(service)[0]
    senders = deployment.begin(make_lives(150, seed=510 + ROLES.index(service)), pause_s=0.05)

    deployment.crash(container)
    wait_until(
        f"{service} was started again", lambda: inspect([container], ".RestartCount")[0] != "0", 60, 0.2
    )
    deployment.wait_healthy(service, within_s=90)

    deployment.finish(senders)


@pytest.mark.long
@pytest.mark.parametrize("service", ["receiver", "worker"])
def test_a_rolling_restart_under_load_loses_and_doubles_nothing(deployment: Deployment, service: str) -> None:
    senders = deployment.begin(make_lives(1_500, seed=520 + ROLES.index(service)), pause_s=0.5)

    deployment.restart_one_by_one(service, lambda: senders.is_busy)
    senders.pause_s = 0  # the rest at once

    deployment.finish(senders, 300)
    assert set(senders.statuses) == {200}, "Stripe saw nothing of it"


@pytest.mark.long
def test_a_new_image_replaces_the_old_one_and_loses_and_doubles_nothing(deployment: Deployment) -> None:
    old = {each for role in ("receiver", "worker") for each in deployment.containers(role)}
    deployment.env["PAYOUTS_IMAGE"] = new_version()
    senders = deployment.begin(make_lives(1_500, seed=525), pause_s=0.5)

    beside = "--no-recreate --scale receiver=4 --scale worker=4 receiver worker"
    deployment.up(*beside.split())
    assert old < {each for role in ("receiver", "worker") for each in deployment.containers(role)}
    docker("stop", "--time", "30", *old)
    docker("rm", *old)
    deployment.up()
    assert senders.is_busy, "the load was over before the old ones were gone"
    senders.pause_s = 0  # the rest at once

    deployment.finish(senders, 300)
    images = {
        name
        for role in ("receiver", "worker")
        for name in inspect(deployment.containers(role), ".Config.Image")
    }
    assert images == {deployment.env["PAYOUTS_IMAGE"]}


@pytest.mark.long
def test_mysql_may_go_and_come_back(deployment: Deployment) -> None:
    senders = deployment.begin(make_lives(300, seed=530), pause_s=0.05)

    [mysql] = deployment.containers("mysql")
    docker("stop", "--time", "60", mysql)
    assert deployment.is_serving(), "the proxy took the receivers away with their database"
    docker("start", mysql)
    deployment.wait_healthy("mysql", within_s=90)

    deployment.finish(senders, 300)


@pytest.mark.long
def test_redis_may_forget_everything(deployment: Deployment) -> None:
    senders = deployment.begin(make_lives(300, seed=540), pause_s=0.05)

    [redis] = deployment.containers("redis")
    for _ in range(3):
        docker("exec", redis, "redis-cli", "FLUSHALL")

    deployment.finish(senders, 300)


@pytest.mark.long
def test_more_receivers_are_found_by_the_proxy(deployment: Deployment) -> None:
    deployment.up("--scale", "receiver=3")
    receivers = deployment.containers("receiver")
    assert len(receivers) == 3

    def taken(container: str) -> int:
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/api/live').read().decode())"
        return int(json.loads(docker("exec", container, "python", "-c", ask))["counts"]["received"])

    before = [taken(each) for each in receivers]
    deployment.finish(deployment.begin(make_lives(200, seed=550), concurrency=16))
    assert all(taken(each) > was for each, was in zip(receivers, before, strict=True))
