"""Whether all connections fit, and that what is said to be set does fit."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

import api.app
import console.web.app
import webhooks.app
from payouts.pools import SHARE, SPARE, Fit, Need, needs_of, pool_sizes
from payouts.pulse import Pulse
from payouts.settings import Settings
from payouts.storage.presence import ProcessState, Seen
from payouts.storage.redis_view import Process

SETTINGS = Settings(database_url="sqlite://", redis_url="redis://127.0.0.1:1/0")


def process(role: str, most: int | None = None, *, here: bool = True) -> Process:
    state = ProcessState(version="1", started_at_ms=0, connections_most=most) if most else None
    return Process(Seen(role, f"{role}:{most}", 0), here, state)


def fit(most: int | None, size: int = 5, **processes: int) -> Fit:
    settings = SETTINGS.model_copy(update={"database_pool_size": size})
    return Fit(needs_of([], settings, processes), most, 1, size)


def test_what_a_process_of_each_role_may_open() -> None:
    sizes = {"receiver": 4, "worker": 5, "scheduler": 5, "api": 6, "console": 18}
    assert pool_sizes(SETTINGS) == sizes
    shown = SETTINGS.model_copy(update={"metrics_port": 9464})
    assert pool_sizes(shown) == {**sizes, "scheduler": 6}
    told = SETTINGS.model_copy(update={"resend_webhook_secret": SecretStr("whsec_dGVzdA==")})
    assert pool_sizes(told) == {**sizes, "receiver": 9}


@pytest.mark.parametrize(
    ("role", "build"), [("receiver", webhooks.app), ("api", api.app), ("console", console.web.app)]
)
def test_a_server_tells_of_as_many_connections_as_are_counted_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, role: str, build: ModuleType
) -> None:
    pulses: list[Pulse] = []

    def kept(*args: Any) -> Pulse:
        pulses.append(Pulse(*args))
        return pulses[-1]

    monkeypatch.setattr("payouts.stores.Pulse", kept)
    url, secret = f"sqlite:///{tmp_path / 'payouts.db'}", SecretStr("whsec_dGVzdA==")
    changes = {
        "database_url": SecretStr(url),
        "stripe_webhook_secret": secret,
        "resend_webhook_secret": secret,
    }
    settings = SETTINGS.model_copy(update=changes)
    build.build_app(settings)
    (pulse,) = pulses
    assert (pulse.role, pulse.state().connections_most) == (role, pool_sizes(settings)[role])
    for engine in pulse.engines:
        engine.dispose()


def test_processes_that_are_there_are_counted_and_a_plan_in_their_place() -> None:
    seen = [process("worker", 5), process("worker", 20), process("worker", 5, here=False), process("api")]
    needs = {need.role: need for need in needs_of(seen, SETTINGS, {"receiver": 3})}
    assert needs["worker"] == Need("worker", 2, 20)  # one is set to open more than the settings here say
    assert needs["api"] == Need("api", 1, 6, 1)
    assert needs["receiver"] == Need("receiver", 3, 4, 1)
    assert needs["console"].total == 0


@pytest.mark.parametrize(("most", "fits"), [(91, False), (92, True), (1_000, True), (None, None)])
def test_a_fifth_is_left_free(most: int | None, fits: bool | None) -> None:
    found = fit(most, receiver=2, worker=4, scheduler=1, api=2, console=1)
    assert found.total == 8 + 20 + 5 + 12 + 18 + SPARE  # 73 is 80 % of 91.25
    assert found.fits is fits


@pytest.mark.parametrize("most", [60, 100, 151, 400])
@pytest.mark.parametrize("workers", [1, 4, 20, 80])
def test_what_is_said_to_be_set_fits_and_no_less_would(most: int, workers: int) -> None:
    processes = {"receiver": 2, "worker": workers, "scheduler": 1, "api": 2}
    found = fit(most, **processes)
    assert fit(found.wanted_most, **processes).fits
    assert not fit(found.wanted_most - 1, **processes).fits
    size = found.wanted_pool_size
    if size is None:
        assert not fit(most, 1, **processes).fits
    else:
        assert fit(most, size, **processes).fits
        assert not fit(most, size + 1, **processes).fits
    assert found.fits == (found.total < SHARE * most)
