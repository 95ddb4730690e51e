"""A worker goes on with a replay in steps; live events of its own make them small, with pauses."""

from types import SimpleNamespace
from typing import Any

import pytest

from payouts.outcome import BatchResult
from payouts.record import Record
from payouts.replayer import RUN_AT_ONCE, StepResult
from workers.actors import LATELY_S, Actors
from workers.replay import BESIDE_LIVE, YIELD_S, Replaying

STEP_S = 0.3


class Run:
    """One turn at a replay that has three steps left, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, live: bool, waiting: tuple[int, ...] = ()) -> None:
        self.now_s = 1_000.0
        self.steps: list[int] = []
        self.slept: list[float] = []
        self.sent: list[int] = []
        waits = iter(waiting)
        messages: Any = SimpleNamespace(waiting=lambda _: next(waits, 0), replay=self.sent.append)
        replayer: Any = SimpleNamespace(step=self._step)
        clock = SimpleNamespace(monotonic=lambda: self.now_s, sleep=self._sleep)
        monkeypatch.setattr("workers.replay.time", clock)
        Replaying(replayer, messages, lambda _: None, lambda: live).run(7)

    def _step(self, _replay_id: int, most: int) -> StepResult:
        self.now_s += STEP_S
        self.steps.append(most)
        return StepResult(0 if len(self.steps) < 3 else None, [])

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept.append(seconds)


def test_a_replay_alone_takes_large_steps_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, live=False)
    assert run.steps == [RUN_AT_ONCE] * 3
    assert not any(run.slept)


def test_beside_live_events_steps_are_small_and_half_of_the_time_is_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch, live=True)
    assert run.steps == [BESIDE_LIVE] * 3
    assert run.slept == pytest.approx([STEP_S, STEP_S])


def test_live_events_that_wait_are_let_past(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, live=False, waiting=(3, 1))
    assert run.slept[:2] == [YIELD_S, YIELD_S]
    assert len(run.steps) == 3


def test_a_worker_knows_of_live_events_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1_000.0]
    monkeypatch.setattr("workers.actors.time", SimpleNamespace(monotonic=lambda: now_s[0]))
    applier = SimpleNamespace(apply=lambda _: BatchResult())
    parts: Any = SimpleNamespace(applier=applier, gateway=None, sender=None, record=Record())
    actors = Actors(parts, SimpleNamespace(), 500, False)  # type: ignore[arg-type]
    actors.send_on = lambda _: None  # type: ignore[method-assign]
    assert not actors.live_lately()

    actors._apply([[1, 2]])
    assert actors.live_lately()
    now_s[0] += LATELY_S
    assert not actors.live_lately()
