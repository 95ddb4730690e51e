"""A store that failed is left alone until a probe finds it back."""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.servers import wait_until
from webhooks import breaker as breaker_module
from webhooks.breaker import Breaker


class Store:
    """A fake store to probe."""

    def __init__(self) -> None:
        self.up = False
        self.probes = 0
        self.returns = 0
        self.after_return: Callable[[], None] = lambda: None

    def probe(self) -> None:
        self.probes += 1
        if not self.up:
            raise OSError("down")

    def on_close(self) -> None:
        self.returns += 1
        self.after_return()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def breaker(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaker]:
    monkeypatch.setattr(breaker_module, "PROBE_EVERY_S", 0.01)
    made = Breaker("store", store.probe, store.on_close)
    yield made
    made.end()
    made._thread.join(5)
    assert not made._thread.is_alive()


def test_a_breaker_begins_closed_and_asks_nothing(breaker: Breaker, store: Store) -> None:
    threading.Event().wait(0.05)
    assert not breaker.is_open
    assert store.probes == 0


def test_a_failure_opens_it_until_a_probe_succeeds(breaker: Breaker, store: Store) -> None:
    breaker.trip(OSError("down"))
    assert breaker.is_open
    wait_until("it is asked again and again", lambda: store.probes >= 3, 5)
    assert breaker.is_open
    assert store.returns == 0
    store.up = True
    wait_until("it is closed", lambda: not breaker.is_open, 5)
    wait_until("what was to be done then is done", lambda: store.returns == 1, 5)


def test_several_failures_are_one_outage(breaker: Breaker, store: Store) -> None:
    for _ in range(5):
        breaker.trip(OSError("down"))
    store.up = True
    wait_until("it is closed", lambda: not breaker.is_open and store.returns, 5)
    probes = store.probes
    threading.Event().wait(0.05)
    assert (store.returns, store.probes) == (1, probes)


def test_a_second_outage_is_seen_too(breaker: Breaker, store: Store) -> None:
    for outage in (1, 2):
        store.up = False
        breaker.trip(OSError("down"))
        assert breaker.is_open
        store.up = True
        wait_until("it is back", lambda outage=outage: store.returns == outage, 5)  # type: ignore[misc]
        assert not breaker.is_open


def test_an_error_in_what_follows_the_return_does_not_end_the_watch(breaker: Breaker, store: Store) -> None:
    def fails() -> None:
        raise RuntimeError("drain failed")

    store.after_return = fails
    store.up = True
    for outage in (1, 2):
        breaker.trip(OSError("down"))
        wait_until("it is back", lambda outage=outage: store.returns == outage, 5)  # type: ignore[misc]
    assert not breaker.is_open
