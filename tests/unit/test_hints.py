"""Hints go out behind the answers, together, and never hold anybody up."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from tests.support.servers import wait_until
from webhooks import hints as hints_module
from webhooks.hints import MAX_IDS, Hints


class Sent:
    """A fake queue: records messages, and may be slow or down."""

    def __init__(self) -> None:
        self.messages: list[list[int]] = []
        self.error: Exception | None = None
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, ids: Sequence[int]) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        if self.error:
            raise self.error
        self.messages.append(list(ids))


class FakeBreaker:
    def __init__(self) -> None:
        self.is_open = False
        self.errors: list[BaseException] = []

    def trip(self, error: BaseException) -> None:
        self.errors.append(error)
        self.is_open = True


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def hints(sent: Sent) -> Iterator[Hints]:
    made = Hints(sent)
    yield made
    sent.go_on.set()
    made.close()


def test_a_lone_hint_goes_at_once(hints: Hints, sent: Sent) -> None:
    hints.add([1, 2])
    wait_until("the hint is sent", lambda: sent.messages == [[1, 2]], 2)


def test_hints_that_wait_share_a_message(hints: Hints, sent: Sent) -> None:
    sent.go_on.clear()
    hints.add([1])
    assert sent.begun.wait(5)
    for number in range(2, 6):
        hints.add([number])
    sent.go_on.set()
    wait_until("both messages are sent", lambda: sent.messages == [[1], [2, 3, 4, 5]], 2)


def test_adding_never_waits_for_the_queue(hints: Hints, sent: Sent) -> None:
    sent.go_on.clear()
    hints.add([1])
    assert sent.begun.wait(5)
    adding = threading.Thread(target=hints.add, args=([2],))
    adding.start()
    adding.join(2)
    assert not adding.is_alive()


def test_no_message_has_more_ids_than_the_limit_and_none_is_lost(hints: Hints, sent: Sent) -> None:
    hints.add(range(MAX_IDS * 2 + 1))
    wait_until("all are sent", lambda: sum(map(len, sent.messages)) == MAX_IDS * 2 + 1, 2)
    assert [len(message) for message in sent.messages] == [MAX_IDS, MAX_IDS, 1]
    assert [number for message in sent.messages for number in message] == list(range(MAX_IDS * 2 + 1))


def test_what_waits_is_bounded(hints: Hints, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints_module, "MAX_WAITING", 3)
    sent.go_on.clear()
    hints.add([0])
    assert sent.begun.wait(5)
    for number in range(1, 10):
        hints.add([number])
    sent.go_on.set()
    wait_until("what was kept is sent", lambda: len(sent.messages) == 2, 2)
    assert sent.messages == [[0], [1, 2, 3]]


def test_a_queue_that_fails_trips_the_breaker_and_the_thread_goes_on(hints: Hints, sent: Sent) -> None:
    breaker = FakeBreaker()
    hints.breaker = breaker  # type: ignore[assignment]
    sent.error = OSError("no route")
    hints.add([1])
    wait_until("the breaker is tripped", lambda: breaker.errors == [sent.error], 2)
    sent.error, breaker.is_open = None, False
    hints.add([2])
    wait_until("the next hint is sent", lambda: sent.messages == [[2]], 2)


def test_while_the_breaker_is_open_hints_are_dropped_without_a_try(hints: Hints, sent: Sent) -> None:
    breaker = FakeBreaker()
    breaker.is_open = True
    hints.breaker = breaker  # type: ignore[assignment]
    hints.add([1])
    wait_until("the hint is gone", lambda: not hints._waiting, 2)
    hints.close()
    assert not sent.begun.is_set()


def test_closing_sends_what_waits(sent: Sent) -> None:
    hints = Hints(sent)
    sent.go_on.clear()
    hints.add([1])
    assert sent.begun.wait(5)
    hints.add([2])
    threading.Timer(0.05, sent.go_on.set).start()
    hints.close()
    assert sent.messages == [[1], [2]]
    assert not hints._thread.is_alive()
