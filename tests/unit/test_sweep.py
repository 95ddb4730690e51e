"""The sweeper sends again what was accepted and not finished, and nothing else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.event import read_envelope
from payouts.ids import IdMaker
from payouts.storage import inbox
from payouts.storage.engine import build_engine
from payouts.storage.inbox import NewEvent
from tests.support.databases import bring_up_to_date
from tests.support.lives import event_body, payout_object
from workers.broker import WakingRedisBroker
from workers.messages import APPLY, APPLY_ALONE, EVENTS_QUEUE, Messages
from workers.sweep import ALONE_FROM, IDS_PER_MESSAGE, LONGEST_WAIT_MS, Sweeper

GRACE_MS = 1_000
NOW_MS = 1_790_000_000_000


class FakeMessages:
    """Records what is sent, and says how many messages wait."""

    def __init__(self) -> None:
        self.queue: list[tuple[str, Any]] = []
        self.backlog = 0

    def waiting(self, queue: str) -> int:
        assert queue == EVENTS_QUEUE
        return self.backlog

    def apply(self, ids: Sequence[int]) -> None:
        self.queue.append((APPLY, list(ids)))

    def apply_alone(self, inbox_id: int) -> None:
        self.queue.append((APPLY_ALONE, inbox_id))


class Scene:
    """A sweeper on a database file, and a fake queue."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now_ms = NOW_MS
        self.messages = FakeMessages()
        self.sweeper = Sweeper(engine, self.messages, lambda: self.now_ms, GRACE_MS, 3)  # type: ignore[arg-type]

    def add(self, count: int, **values: Any) -> list[int]:
        make_id = IdMaker()
        events = []
        for _ in range(count):
            row_id = make_id()
            body = event_body(f"evt_{row_id}", "paid", payout_object("po_1", "paid"))
            events.append(NewEvent(row_id, read_envelope(body), inbox.WEBHOOK, None, NOW_MS, body))
        with self.engine.begin() as connection:
            inbox.add_events(connection, events, make_id)
            for name, value in values.items():
                ids = ",".join(str(event.id) for event in events)
                connection.execute(sa.text(f"UPDATE inbox SET {name} = :v WHERE id IN ({ids})"), {"v": value})
        return sorted(event.id for event in events)

    def sent(self) -> list[tuple[str, Any]]:
        """What was sent since the last look, as (actor, argument)."""
        sent, self.messages.queue = self.messages.queue, []
        return sent


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    engine = build_engine(f"sqlite:///{tmp_path / 'payouts.db'}", timeout_s=5, pool_size=1)
    bring_up_to_date(engine)
    made = Scene(engine)
    yield made
    engine.dispose()


def test_an_event_is_sent_again_only_once_its_grace_time_is_over(scene: Scene) -> None:
    ids = scene.add(2)
    scene.now_ms += GRACE_MS - 1
    assert (scene.sweeper.sweep(), scene.sent()) == (0, [])
    scene.now_ms += 1
    assert scene.sweeper.sweep() == 2
    assert scene.sent() == [("apply_events", ids)]


@pytest.mark.parametrize("status", ["applied", "ignored", "dead"])
def test_a_finished_event_is_never_sent_again(scene: Scene, status: str) -> None:
    scene.add(1, status=status)
    scene.now_ms += 10 * LONGEST_WAIT_MS
    assert (scene.sweeper.sweep(), scene.sent()) == (0, [])


@pytest.mark.parametrize("status", ["received", "retrying", "deferred"])
def test_every_open_event_that_is_overdue_is_sent_again(scene: Scene, status: str) -> None:
    ids = scene.add(1, status=status)
    scene.now_ms += GRACE_MS
    assert scene.sweeper.sweep() == 1
    assert scene.sent() == [("apply_events", ids)]


def test_many_events_go_in_messages_of_a_bounded_size(scene: Scene) -> None:
    ids = scene.add(IDS_PER_MESSAGE + 5)
    scene.now_ms += GRACE_MS
    assert scene.sweeper.sweep() == len(ids)
    sent = scene.sent()
    assert [len(argument) for _, argument in sent] == [IDS_PER_MESSAGE, 5]
    assert sorted(inbox_id for _, argument in sent for inbox_id in argument) == ids


def test_while_messages_wait_in_the_queue_nothing_is_sent(scene: Scene) -> None:
    ids = scene.add(1)
    scene.now_ms += GRACE_MS
    scene.messages.backlog = 4
    assert (scene.sweeper.sweep(), scene.sent()) == (0, [])
    scene.messages.backlog = 3
    assert (scene.sweeper.sweep(), scene.sent()) == (1, [("apply_events", ids)])


def test_an_event_that_is_sent_again_and_again_goes_less_often_and_then_alone(scene: Scene) -> None:
    (row_id,) = scene.add(1)
    gaps, last = [], scene.now_ms
    for resend in range(ALONE_FROM + 3):
        while not scene.sweeper.sweep():
            scene.now_ms += 250
        gaps.append(scene.now_ms - last)
        last = scene.now_ms
        expected = ("apply_events", [row_id]) if resend < ALONE_FROM else ("apply_event_alone", row_id)
        assert scene.sent() == [expected]
    # One grace time, then twice as long each time.
    assert gaps == [GRACE_MS * factor for factor in (1, 1, 2, 4, 8, 16, 32)]


def test_however_often_it_was_sent_it_is_sent_within_a_bounded_time(scene: Scene) -> None:
    scene.add(1, resends=30_000)
    scene.now_ms += GRACE_MS
    assert scene.sweeper.sweep() == 1
    scene.now_ms += LONGEST_WAIT_MS + GRACE_MS - 1
    assert scene.sweeper.sweep() == 0
    scene.now_ms += 1
    assert scene.sweeper.sweep() == 1


def test_messages_carry_ids_and_nothing_else_to_the_queue_of_their_purpose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[Any, ...]] = []

    def enqueue(_: Any, message: Any, *, delay: int | None = None) -> None:
        sent.append((message.queue_name, message.actor_name, message.args, message.kwargs, delay))

    monkeypatch.setattr(WakingRedisBroker, "enqueue", enqueue)
    messages = Messages(redis.Redis(port=1), "tests")
    messages.apply([1, 2])
    messages.apply_later(3, 60_000)
    messages.apply_alone(4)
    messages.resolve(5)
    assert sent == [
        ("events", "apply_events", ([1, 2],), {}, None),
        ("events", "apply_events", ([3],), {}, 60_000),
        ("events", "apply_event_alone", (4,), {}, None),
        ("lookups", "resolve_event", (5,), {}, None),
    ]
