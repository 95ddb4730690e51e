"""Group commit: deliveries that wait share a write, and each hears of its own event."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from payouts.errors import PayoutsError, StoreUnavailableError
from payouts.event import read_envelope
from payouts.storage.inbox import WEBHOOK, NewEvent
from tests.support.lives import event_body, payout_object
from webhooks import intake as intake_module
from webhooks.intake import FLUSH_MAX_BYTES, FLUSH_MAX_EVENTS, Intake, OverloadedError


class Writes:
    """A fake store: records groups, and holds each until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.refused: dict[int, Exception] = {}
        self.error: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, events: Sequence[NewEvent]) -> Any:
        self.groups.append([event.id for event in events])
        assert self.go_on.wait(10)
        if self.error:
            raise self.error
        return {event.id: self.refused[event.id] for event in events if event.id in self.refused}


_envelope = read_envelope(event_body("evt_1", "paid", payout_object("po_1", "paid")))


def event(number: int, size: int = 10) -> NewEvent:
    return NewEvent(
        id=number, envelope=_envelope, source=WEBHOOK, secret=None, received_at_ms=0, payload=b"x" * size
    )


def run(
    work: Callable[[Intake, Writes], Coroutine[Any, Any, None]], most: int = 10_000, most_bytes: int = 2**30
) -> Writes:
    """Run a scene against an intake on a fake store; then everything must end."""
    writes = Writes()

    async def scene() -> None:
        intake = Intake(writes, most, most_bytes)
        await asyncio.wait_for(work(intake, writes), 10)
        writes.go_on.set()
        await asyncio.wait_for(intake.close(), 10)

    asyncio.run(scene())
    return writes


async def until(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - what it waits for is a thread's doing
        await asyncio.sleep(0.001)


async def outcome(waiting: Awaitable[None]) -> str:
    try:
        await waiting
    except Exception as error:  # noqa: BLE001 - the test looks at its kind
        return type(error).__name__
    return "stored"


def test_a_lone_delivery_is_written_at_once() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        began = time.monotonic()
        await intake.accept(event(1))
        assert time.monotonic() - began < 5

    assert run(scene).groups == [[1]]


def test_deliveries_of_one_turn_of_the_loop_share_a_write() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        await asyncio.gather(*(intake.accept(event(number)) for number in range(5)))

    assert run(scene).groups == [[0, 1, 2, 3, 4]]


def test_what_comes_while_a_write_is_in_flight_becomes_one_group() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        first = asyncio.create_task(intake.accept(event(1)))
        await until(lambda: writes.groups)
        later = []
        for number in (2, 3, 4):
            later.append(asyncio.create_task(intake.accept(event(number))))
            await asyncio.sleep(0.005)
        assert writes.groups == [[1]]
        assert not any(task.done() for task in [first, *later])
        writes.go_on.set()
        await asyncio.gather(first, *later)

    assert run(scene).groups == [[1], [2, 3, 4]]


def test_nobody_is_answered_before_the_write_returns() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        task = asyncio.create_task(intake.accept(event(1)))
        await until(lambda: writes.groups)
        await asyncio.sleep(0.05)
        assert not task.done()
        writes.go_on.set()
        await task

    assert run(scene).groups == [[1]]


def test_no_group_has_more_events_than_the_limit() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        await asyncio.gather(*(intake.accept(event(number)) for number in range(FLUSH_MAX_EVENTS + 3)))

    assert [len(group) for group in run(scene).groups] == [FLUSH_MAX_EVENTS, 3]


def test_no_group_has_more_bytes_than_the_limit_but_one_event_always_goes() -> None:
    half = FLUSH_MAX_BYTES // 2

    async def scene(intake: Intake, writes: Writes) -> None:
        sizes = [half, half, 1, FLUSH_MAX_BYTES + 1, 5]
        await asyncio.gather(*(intake.accept(event(at, size)) for at, size in enumerate(sizes)))

    assert run(scene).groups == [[0, 1], [2], [3], [4]]


def test_more_waiting_deliveries_than_allowed_are_refused_and_the_others_kept() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        first = asyncio.create_task(intake.accept(event(1)))
        await until(lambda: writes.groups)
        kept = [asyncio.create_task(intake.accept(event(number))) for number in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as caught:
            await intake.accept(event(4))
        assert caught.value.transient
        writes.go_on.set()
        await asyncio.gather(first, *kept)
        await intake.accept(event(5))

    assert run(scene, most=2).groups == [[1], [2, 3], [5]]


def test_more_waiting_bytes_than_allowed_are_refused_and_freed_when_written() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        first = asyncio.create_task(intake.accept(event(1, 100)))
        await until(lambda: writes.groups)
        second = asyncio.create_task(intake.accept(event(2, 60)))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await intake.accept(event(3, 41))
        third = asyncio.create_task(intake.accept(event(4, 40)))
        await asyncio.sleep(0)
        writes.go_on.set()
        await asyncio.gather(first, second, third)
        await intake.accept(event(5, 100))

    assert run(scene, most_bytes=100).groups == [[1], [2, 4], [5]]


def test_an_event_that_is_refused_alone_leaves_its_group_stored() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.refused[2] = StoreUnavailableError("the database refused evt_2")
        found = await asyncio.gather(*(outcome(intake.accept(event(number))) for number in (1, 2, 3)))
        assert found == ["stored", "StoreUnavailableError", "stored"]

    assert run(scene).groups == [[1, 2, 3]]


def test_an_error_of_the_store_reaches_its_whole_group_and_no_other() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.error = OSError("no disk")
        found = await asyncio.gather(*(outcome(intake.accept(event(number))) for number in (1, 2)))
        assert found == ["OSError", "OSError"]
        writes.error = None
        assert await outcome(intake.accept(event(3))) == "stored"

    assert run(scene).groups == [[1, 2], [3]]


def test_a_sender_that_hangs_up_does_not_break_its_group() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        tasks = [asyncio.create_task(intake.accept(event(number))) for number in (1, 2, 3)]
        await until(lambda: writes.groups)
        tasks[1].cancel()
        await asyncio.sleep(0)
        writes.go_on.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in found] == [type(None), asyncio.CancelledError, type(None)]
        await intake.accept(event(4))

    assert run(scene).groups == [[1, 2, 3], [4]]


def test_a_store_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "ANSWER_WITHIN_S", 0.05)

    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        began = time.monotonic()
        first = asyncio.create_task(outcome(intake.accept(event(1))))
        await until(lambda: writes.groups)
        second = asyncio.create_task(outcome(intake.accept(event(2))))
        assert await asyncio.gather(first, second) == ["StoreUnavailableError"] * 2
        assert time.monotonic() - began < 1
        writes.go_on.set()
        await until(lambda: len(writes.groups) == 2)  # what was turned away is written all the same
        assert await outcome(intake.accept(event(3))) == "stored"

    assert [number for group in run(scene).groups for number in group] == [1, 2, 3]


def test_who_comes_after_others_were_turned_away_is_not_left_waiting_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "ANSWER_WITHIN_S", 0.05)

    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        assert await outcome(intake.accept(event(1))) == "StoreUnavailableError"
        late = asyncio.create_task(outcome(intake.accept(event(2))))
        done, _ = await asyncio.wait([late], timeout=1)
        writes.go_on.set()
        assert done, "a delivery waits for as long as the store hangs"
        assert late.result() == "StoreUnavailableError"

    run(scene)


def test_nobody_waits_longer_than_promised_for_a_store_that_is_only_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "ANSWER_WITHIN_S", 0.3)
    monkeypatch.setattr(intake_module, "FLUSH_MAX_EVENTS", 1)

    async def scene(intake: Intake, writes: Writes) -> None:
        def slowly(events: Sequence[NewEvent]) -> dict[int, PayoutsError]:
            time.sleep(0.1)
            return {}

        intake.write = slowly
        began = time.monotonic()
        answers = await asyncio.gather(*(outcome(intake.accept(event(number))) for number in range(40)))
        assert time.monotonic() - began < 2.0, "someone waited for all 40 writes"
        assert answers[0] == "stored"
        assert answers[-1] == "StoreUnavailableError"

    run(scene)


def test_closing_writes_what_waits() -> None:
    async def scene(intake: Intake, writes: Writes) -> None:
        writes.go_on.clear()
        tasks = [asyncio.create_task(intake.accept(event(1)))]
        await until(lambda: writes.groups)
        tasks.append(asyncio.create_task(intake.accept(event(2))))
        await asyncio.sleep(0)
        closing = asyncio.create_task(intake.close())
        await asyncio.sleep(0.02)
        assert not closing.done()
        writes.go_on.set()
        await asyncio.gather(closing, *tasks)

    assert run(scene).groups == [[1], [2]]
