"""Slow answers of Stripe's take only some of a worker's threads."""

import threading
from types import SimpleNamespace
from typing import Any

from payouts.outcome import BatchResult
from payouts.record import Record
from tests.support.servers import wait_until
from workers.actors import LOOKUPS_AT_ONCE, Actors


class SlowResolver:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answer = threading.Event()

    def resolve(self, inbox_id: int) -> BatchResult:
        self.asked.append(inbox_id)
        self.answer.wait(10)
        return BatchResult()


def test_look_ups_beyond_the_limit_come_back_later_instead_of_waiting() -> None:
    later: list[tuple[int, int]] = []
    messages: Any = SimpleNamespace(
        resolve_later=lambda inbox_id, delay_ms: later.append((inbox_id, delay_ms))
    )
    actors = Actors(
        SimpleNamespace(applier=None, gateway=None, sender=None, record=Record()), messages, 500, False
    )  # type: ignore[arg-type]
    resolver = SlowResolver()
    actors._resolver = resolver  # type: ignore[assignment]

    threads = [threading.Thread(target=actors._resolve, args=(number,)) for number in range(LOOKUPS_AT_ONCE)]
    for thread in threads:
        thread.start()
    wait_until("the first look-ups ask", lambda: len(resolver.asked) == LOOKUPS_AT_ONCE)
    actors._resolve(99)
    assert [inbox_id for inbox_id, _ in later] == [99]
    assert later[0][1] >= 1_000

    resolver.answer.set()
    for thread in threads:
        thread.join()
    actors._resolve(99)
    assert resolver.asked[-1] == 99
