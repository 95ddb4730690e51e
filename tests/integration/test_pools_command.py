"""`payouts pools` on a real server."""

import json

import fakeredis
import pytest

from tests.support.commands import run_here
from tests.support.pulses import say


@pytest.fixture(autouse=True)
def _processes(monkeypatch: pytest.MonkeyPatch) -> None:
    client = fakeredis.FakeRedis()
    say(client, "worker", "a:1", connections_most=5)
    say(client, "receiver", "a:2", connections_most=3)
    monkeypatch.setattr("payouts.stores.open_redis", lambda *_: client)


def test_it_counts_what_is_there_against_the_servers_limit(mariadb_url: str) -> None:
    done = run_here("pools", "--json", DATABASE_URL=mariadb_url)
    said = json.loads(done.stdout)
    assert (done.returncode, said["fits"]) == (0, True), done.stderr
    needs = {need["role"]: (need["processes"], need["total"]) for need in said["needs"]}
    assert (needs["worker"], needs["receiver"], needs["api"]) == ((1, 5), (1, 4), (0, 0))
    assert said["total"] == 19
    assert said["most"] >= said["connected"] >= 1


def test_a_plan_that_does_not_fit_is_told_with_what_to_set(mariadb_url: str) -> None:
    done = run_here("pools", "--plan", "worker=100", DATABASE_URL=mariadb_url)
    assert done.returncode == 1
    assert "too many" in done.stdout
    assert "set max_connections=" in done.stdout
    assert "no api is seen" in done.stdout


def test_a_plan_that_does_not_read_is_refused_and_a_file_has_no_limit() -> None:
    done = run_here("pools", "--plan", "workers=3", DATABASE_URL="sqlite://")
    assert (done.returncode, "does not read" in done.stderr) == (1, True)
    done = run_here("pools", DATABASE_URL="sqlite://")
    assert (done.returncode, "tells of no limit" in done.stdout) == (0, True)
